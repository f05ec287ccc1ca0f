package httpapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/task"
)

func TestATaskTellsWhoItConcerns(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		task task.Task
		want string
	}{
		"a number without a LID": {
			task.Task{Kind: task.Message, Number: "1555", Contact: task.Identity{ID: "c_1", Phone: "1555"}},
			`"c_1","+1555",null,"phone"`,
		},
		"a LID without a number": {
			task.Task{Kind: task.Message, LID: "7@lid", Contact: task.Identity{ID: "c_1", LID: "7@lid"}},
			`"c_1",null,"7@lid","lid"`,
		},
		"the number learnt a LID after the message failed": {
			task.Task{Kind: task.Message, Number: "1555", Contact: task.Identity{ID: "c_1", Phone: "1555", LID: "7@lid"}},
			`"c_1","+1555","7@lid","phone"`,
		},
		"a check asks for the number": {
			task.Task{Kind: task.Check, Number: "1555", LID: "7@lid", Contact: task.Identity{ID: "c_1", Phone: "1555", LID: "7@lid"}},
			`"c_1","+1555","7@lid","phone"`,
		},
		"a login concerns nobody": {task.Task{Kind: task.Login}, `null,null,null,null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := json.Marshal(taskAnswer(row.task, session.Status{}))
			require.NoError(t, err)
			fields := map[string]json.RawMessage{}
			require.NoError(t, json.Unmarshal(encoded, &fields))
			got := string(fields["contact_id"]) + "," + string(fields["phone"]) + "," + string(fields["lid"]) + "," + string(fields["addressed_as"])
			require.Equal(t, row.want, got)
		})
	}
}
