// Command whatsmeow2025 is a whatsmeow of December 2025 against a running simulator: it pairs, checks numbers, sends,
// receives and logs out. Each step prints what it saw; the first that fails ends the run. The environment says where the
// simulator is: SIMULATOR_ADDRESS, SIMULATOR_ROOT_KEY and SIMULATOR_API, the base URL of its control API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"
)

const (
	me       = "15550300001"
	ana      = "15550300002" // a phone and a companion
	stranger = "15550300003" // writes first
	nobody   = "15550309999" // not on WhatsApp
)

// scenario is the client, the simulator, and what the steps do with both.
type scenario struct {
	*client
	sim control
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED whatsmeow 2025:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	folder, remove, err := makeFolder()
	if err != nil {
		return err
	}
	defer remove()
	if err := trust(os.Getenv("SIMULATOR_ROOT_KEY")); err != nil {
		return err
	}
	c, err := newClient(ctx, folder, os.Getenv("SIMULATOR_ADDRESS"))
	if err != nil {
		return err
	}
	defer c.Disconnect()
	s := &scenario{client: c, sim: control{os.Getenv("SIMULATOR_API")}}
	steps := []struct {
		name string
		run  func(context.Context) (saw string, err error)
	}{
		{"the directory", s.fillDirectory},
		{"pairs by QR", s.pair},
		{"checks numbers", s.check},
		{"sends 20 texts", s.send},
		{"receives a text, and answers", s.receive},
		{"a stranger writes first", s.stranger},
		{"logs itself out", s.leave},
	}
	for _, step := range steps {
		started := time.Now()
		saw, err := step.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Printf("ok  whatsmeow 2025: %s: %s (%d ms)\n", step.name, saw, time.Since(started).Milliseconds())
	}
	return nil
}

func (s *scenario) fillDirectory(ctx context.Context) (string, error) {
	return "a phone, a contact, a stranger", errors.Join(
		s.sim.addAccount(ctx, account{Number: me, Name: "Me"}),
		s.sim.addAccount(ctx, account{Number: ana, Name: "Ana", Companions: 1, Behaviour: &behaviour{Receipts: "read"}}),
		s.sim.addAccount(ctx, account{Number: stranger}),
	)
}

func (s *scenario) pair(ctx context.Context) (string, error) {
	if err := s.Connect(); err != nil {
		return "", err
	}
	codes, err := await(s.client, anyOf[*events.QR])
	if err != nil {
		return "", err
	}
	if err := s.sim.scan(ctx, me, codes.Codes[0]); err != nil {
		return "", err
	}
	linked, err := await(s.client, anyOf[*events.PairSuccess])
	if err != nil {
		return "", err
	}
	_, err = await(s.client, anyOf[*events.Connected])
	return fmt.Sprintf("linked as %s, %s", linked.ID, linked.LID), err
}

func (s *scenario) check(ctx context.Context) (string, error) {
	asked := []string{"+" + ana, "+" + stranger, "+" + nobody}
	answers, err := s.IsOnWhatsApp(ctx, asked)
	if err != nil {
		return "", err
	}
	var registered []string
	for _, a := range answers {
		if a.IsIn {
			registered = append(registered, a.Query)
		}
	}
	if slices.Sort(registered); !slices.Equal(registered, asked[:2]) || len(answers) != len(asked) {
		return "", fmt.Errorf("asked for %v, told that %v are registered, in %d answers", asked, registered, len(answers))
	}
	return fmt.Sprintf("%d registered, %s is not", len(registered), nobody), nil
}

func (s *scenario) send(ctx context.Context) (string, error) {
	var last string
	for i := range 20 {
		var err error
		if last, err = s.sendText(ctx, fmt.Sprintf("text %d", i+1)); err != nil {
			return "", err
		}
	}
	_, err := await(s.client, func(r *events.Receipt) bool {
		return r.Type == types.ReceiptTypeRead && slices.Contains(r.MessageIDs, last)
	})
	return "both devices of the contact and the own phone decrypted each once; read", err
}

// sendText sends a text to Ana and looks at what her devices and the own phone decrypted.
func (s *scenario) sendText(ctx context.Context, text string) (id string, err error) {
	sent, err := s.SendMessage(ctx, types.NewJID(ana, types.DefaultUserServer), &waE2E.Message{Conversation: proto.String(text)})
	if err != nil {
		return "", err
	}
	hers, err := s.sim.copies(ctx, ana, sent.ID, 2)
	if err != nil {
		return "", err
	}
	own, err := s.sim.copies(ctx, me, sent.ID, 1)
	if err != nil {
		return "", err
	}
	wanted := []entry{
		{ID: sent.ID, From: me, Device: 0, Text: text},
		{ID: sent.ID, From: me, Device: 1, Text: text},
		{ID: sent.ID, From: me, Device: 0, SentTo: ana, Text: text},
	}
	if got := append(hers, own...); !slices.Equal(got, wanted) {
		return "", fmt.Errorf("decrypted %+v, not %+v", got, wanted)
	}
	return sent.ID, nil
}

// receive also takes the way of a message that cannot be opened at first: this version opens sessions under the number until
// a history sync tells it otherwise, is answered from the LID, warns that it has no session there, and asks again.
func (s *scenario) receive(ctx context.Context) (string, error) {
	if err := s.receiveText(ctx, ana, "hello from Ana"); err != nil {
		return "", err
	}
	_, err := s.sendText(ctx, "hello to Ana")
	return "both decrypted", err
}

func (s *scenario) stranger(ctx context.Context) (string, error) {
	return "decrypted", s.receiveText(ctx, stranger, "we have not met")
}

// receiveText lets a contact write, and waits for what the client decrypts.
func (s *scenario) receiveText(ctx context.Context, from, text string) error {
	id, err := s.sim.write(ctx, from, me, text)
	if err != nil {
		return err
	}
	message, err := await(s.client, func(m *events.Message) bool { return m.Info.ID == id })
	if err != nil {
		return err
	}
	if got := message.Message.GetConversation() + message.Message.GetExtendedTextMessage().GetText(); got != text {
		return fmt.Errorf("%s wrote %q, the client read %q", from, text, got)
	}
	return nil
}

func (s *scenario) leave(ctx context.Context) (string, error) {
	if err := s.Logout(ctx); err != nil {
		return "", err
	}
	var phone struct {
		Devices []struct {
			Linked bool `json:"linked"`
		} `json:"devices"`
	}
	if err := s.sim.call(ctx, "GET", "/accounts/"+me, nil, &phone); err != nil {
		return "", err
	}
	for _, d := range phone.Devices {
		if d.Linked {
			return "", errors.New("the phone still lists a linked device")
		}
	}
	return "the phone lists no device", nil
}
