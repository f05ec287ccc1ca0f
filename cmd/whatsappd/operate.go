package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"whatsappd/httpapi"
)

// daemon names the running daemon for a client command.
type daemon struct {
	Listen string `placeholder:"ADDRESS" help:"Where the daemon listens, host:port."`
}

func (d *daemon) client(cli *commands, term terminal) (*client, error) {
	cfg, err := cli.config(term, map[string]string{"listen": d.Listen})
	if err != nil {
		return nil, err
	}
	return newClient(cfg)
}

type checkCommand struct {
	daemon
	Numbers []string `arg:"" name:"number" help:"International numbers, with or without a plus."`
}

// Run asks for all numbers at once and prints a line for each.
func (c *checkCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	ids := make([]string, len(c.Numbers))
	for i, number := range c.Numbers {
		var accepted httpapi.TaskAccepted
		if err := api.post(ctx, "/v1/tasks", httpapi.TaskRequest{Kind: "check", To: number}, &accepted); err != nil {
			return fmt.Errorf("%s: %w", number, err)
		}
		ids[i] = accepted.TaskID
	}
	var failures []error
	for i, id := range ids {
		t, err := api.finished(ctx, id)
		if err != nil {
			return err
		}
		said := map[string]string{"yes": "on WhatsApp", "no": "not on WhatsApp"}[t.Verdict]
		if said == "" {
			failures = append(failures, fmt.Errorf("%s: %s", c.Numbers[i], why(t)))
			continue
		}
		fmt.Fprintf(term.out, "%s: %s\n", c.Numbers[i], said)
	}
	return errors.Join(failures...)
}

type sendCommand struct {
	daemon
	Number string `arg:"" help:"International number of the recipient."`
	Text   string `arg:"" help:"The text."`
}

// Run sends one text and waits for the outcome.
func (c *sendCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	return perform(ctx, api, term, httpapi.TaskRequest{Kind: "message", To: c.Number, Text: c.Text}, map[string]string{
		"yes": "Sent: WhatsApp's server took the message.",
	})
}

// perform submits a task, waits for its end and prints the line of its verdict; another verdict is a failure.
func perform(ctx context.Context, api *client, term terminal, request httpapi.TaskRequest, lines map[string]string) error {
	var accepted httpapi.TaskAccepted
	if err := api.post(ctx, "/v1/tasks", request, &accepted); err != nil {
		return err
	}
	t, err := api.finished(ctx, accepted.TaskID)
	if err != nil {
		return err
	}
	line, ok := lines[t.Verdict]
	if !ok {
		return errors.New(why(t))
	}
	_, err = fmt.Fprintln(term.out, line)
	return err
}

// why says in a sentence how a task ended badly.
func why(t httpapi.TaskAnswer) string {
	switch {
	case t.Verdict == "no":
		return "the number is not on WhatsApp"
	case t.Verdict == "not_performed":
		return "the account is not logged in; \"whatsappd login\" shows a code to scan"
	case t.Detail != "":
		return t.Code + ": " + t.Detail
	}
	return t.Code
}

type statusCommand struct {
	daemon
	JSON bool `name:"json" help:"As JSON."`
}

// Run shows the account's state.
func (c *statusCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON[any](ctx, api, term, "/v1/status")
	}
	var s httpapi.StatusAnswer
	if err := api.get(ctx, "/v1/status", &s); err != nil {
		return err
	}
	out := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%s\t%s\n", name, value)
		}
	}
	row("state", s.State)
	row("since", when(s.Since))
	row("reason", strings.TrimSpace(s.Reason+" "+s.Detail))
	if s.Number != "" {
		row("number", "+"+s.Number)
	}
	if s.Confirm {
		row("confirm", "another number was paired: \"whatsappd login --confirm\" lets it work")
	}
	row("version", s.Version)
	return out.Flush()
}

type tasksCommand struct {
	daemon
	ID    string `arg:"" optional:"" help:"Show this task only."`
	State string `enum:"queued,running,done,failed," default:"" help:"Only tasks in this state: queued, running, done or failed."`
}

// Run lists tasks, newest first.
func (c *tasksCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	if c.ID != "" {
		return printJSON[any](ctx, api, term, "/v1/tasks/"+c.ID)
	}
	var list httpapi.TasksAnswer
	if err := api.get(ctx, "/v1/tasks?state="+c.State, &list); err != nil {
		return err
	}
	out := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "TASK\tKIND\tNUMBER\tSTATE\tVERDICT\tCODE\tACCEPTED")
	for _, t := range list.Tasks {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, t.Number, t.State, t.Verdict, t.Code, when(t.Created))
	}
	return out.Flush()
}

type callbacksCommand struct {
	List   callbacksListCommand   `cmd:"" default:"withargs" help:"List callbacks, newest first."`
	Replay callbacksReplayCommand `cmd:"" help:"Deliver a callback that was given up once more."`
}

type callbacksListCommand struct {
	daemon
	State string `enum:"due,sending,delivered,dead," default:"" help:"Only callbacks in this state: due, sending, delivered or dead."`
}

// Run lists callbacks.
func (c *callbacksListCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	var list httpapi.CallbacksAnswer
	if err := api.get(ctx, "/v1/callbacks?state="+c.State, &list); err != nil {
		return err
	}
	out := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CALLBACK\tTASK/EVENT\tDESTINATION\tSTATE\tATTEMPTS\tLAST")
	for _, d := range list.Callbacks {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%d\t%s\n", d.ID, cmp.Or(d.TaskID, d.Event), d.Destination, d.State, d.Attempt, d.LastError)
	}
	return out.Flush()
}

type callbacksReplayCommand struct {
	daemon
	ID string `arg:"" help:"The callback."`
}

// Run makes a dead callback due again.
func (c *callbacksReplayCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	if err := api.post(ctx, "/v1/callbacks/"+c.ID+"/replay", nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintln(term.out, "It will be delivered now, with a fresh schedule.")
	return err
}

// when writes a time for a person; nothing for none.
func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
