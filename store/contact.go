package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"whatsappd/task"
)

// contact is a row of the mapping: our own ID and WhatsApp's addresses, as far as they are known.
type contact struct{ id, phone, lid string }

// theirs is the ID of the contact behind an address of ?1: a number in any form, a LID, or our own ID.
const theirs = `(SELECT contact FROM contact_number WHERE account = ?1 AND number = ?2
	UNION ALL SELECT id FROM contact WHERE account = ?1 AND lid = ?2
	UNION ALL SELECT id FROM contact WHERE id = ?2 AND account = ?1 LIMIT 1)`

const findContact = `SELECT id, coalesce(phone, ''), coalesce(lid, '') FROM contact WHERE id = ` + theirs

// mapping changes who is who for an account, within one operation of the writer.
type mapping struct {
	q       queries
	account string
	at      time.Time
	merged  []merged
}

// merged is a contact.merged event: two contacts were one, or a LID got its number (then gone is empty).
type merged struct{ contact, gone string }

// find returns the contact behind an address; the zero value when there is none.
func (m *mapping) find(ctx context.Context, address string) (c contact, err error) {
	if address == "" {
		return c, nil
	}
	err = m.q.QueryRowContext(ctx, findContact, m.account, address).Scan(&c.id, &c.phone, &c.lid)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c, err
}

// need returns the ID of the contact behind an address, and makes one for a number or a LID that was never met.
func (m *mapping) need(ctx context.Context, address string) (string, error) {
	c, err := m.find(ctx, address)
	switch {
	case err != nil || c.id != "":
		return c.id, err
	case strings.HasPrefix(address, idMark):
		return "", task.ErrNoContact
	case strings.Contains(address, "@"):
		return m.learn(ctx, task.Address{LID: address})
	default:
		return m.learn(ctx, task.Address{Number: address})
	}
}

// idMark begins every ID of a contact.
const idMark = "c_"

// learn keeps that addresses are one person's, and returns the contact's ID: it makes one, adds what was not known, or joins
// contacts that turn out to be one. who.Number is the number as WhatsApp writes it, forms are others that lead to it.
//
// A LID stands for one person. So a number that was another LID's moves to the one it is named with now; but while nobody else
// has the new LID, and the number is the contact's own, it is the contact that got another LID.
func (m *mapping) learn(ctx context.Context, who task.Address, forms ...string) (string, error) {
	owner, err := m.find(ctx, who.LID)
	if err != nil {
		return "", err
	}
	numbers := slices.DeleteFunc(append([]string{who.Number}, forms...), func(n string) bool { return n == "" })
	var former []contact
	for _, number := range numbers {
		holder, err := m.find(ctx, number)
		if err != nil {
			return "", err
		}
		lid := cmp.Or(who.LID, owner.lid)
		another := holder.lid != "" && lid != "" && holder.lid != lid
		switch {
		case holder.id == "" || holder.id == owner.id:
		case another && (owner.id != "" || holder.phone != who.Number):
			former = append(former, holder)
		case owner.id == "":
			owner = holder
		default:
			if owner, err = m.merge(ctx, owner, holder); err != nil {
				return "", err
			}
		}
	}
	if err := m.leave(ctx, former, numbers); err != nil {
		return "", err
	}
	if err := m.name(ctx, &owner, who); err != nil {
		return "", err
	}
	for _, number := range numbers {
		_, err := m.q.ExecContext(ctx, `INSERT INTO contact_number (account, number, contact) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET contact = excluded.contact WHERE contact <> excluded.contact`, m.account, number, owner.id)
		if err != nil {
			return "", err
		}
	}
	return owner.id, m.inherit(ctx, owner, former, numbers)
}

// leave takes numbers from the contacts that had them.
func (m *mapping) leave(ctx context.Context, former []contact, numbers []string) error {
	for _, other := range former {
		if !slices.Contains(numbers, other.phone) {
			continue
		}
		if _, err := m.q.ExecContext(ctx, `UPDATE contact SET phone = NULL WHERE id = ?`, other.id); err != nil {
			return err
		}
	}
	return nil
}

// name gives a contact the addresses that were learnt, and makes it when it is new.
func (m *mapping) name(ctx context.Context, c *contact, who task.Address) error {
	if c.id == "" {
		key, err := uuid.NewV7()
		if err != nil {
			return err
		}
		c.id = idMark + key.String()
		_, err = m.q.ExecContext(ctx, `INSERT INTO contact (id, account, phone, lid) VALUES (?, ?, nullif(?, ''), nullif(?, ''))`,
			c.id, m.account, who.Number, who.LID)
		return err
	}
	named := contact{c.id, cmp.Or(who.Number, c.phone), cmp.Or(who.LID, c.lid)}
	if named == *c {
		return nil
	}
	if c.phone == "" {
		if err := m.tell(ctx, merged{contact: c.id}); err != nil {
			return err
		}
	}
	*c = named
	_, err := m.q.ExecContext(ctx, `UPDATE contact SET phone = nullif(?, ''), lid = nullif(?, '') WHERE id = ?`, c.phone, c.lid, c.id)
	return err
}

// inherit hands on what belongs to numbers rather than to a person: what waits to be sent to them, and an opt-out, which was
// said of the number and is to be taken back by a person only.
func (m *mapping) inherit(ctx context.Context, heir contact, former []contact, numbers []string) error {
	for _, other := range former {
		_, err := m.q.ExecContext(ctx, `INSERT INTO optout (contact, at) SELECT ?, at FROM optout WHERE contact = ?
			ON CONFLICT DO NOTHING`, heir.id, other.id)
		for _, number := range numbers {
			if err == nil {
				_, err = m.q.ExecContext(ctx, `UPDATE task SET contact = ? WHERE contact = ? AND number = ?
					AND state IN ('queued', 'running')`, heir.id, other.id, number)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mergeContacts moves everything of the contact ?2 to the contact ?1.
func mergeContacts() []string {
	return []string{
		`UPDATE task SET contact = ?1 WHERE contact = ?2`,
		`INSERT INTO chat (contact, account, first_sent_at, first_heard_at, last_heard_at)
			SELECT ?1, account, first_sent_at, first_heard_at, last_heard_at FROM chat WHERE contact = ?2
			ON CONFLICT DO UPDATE SET first_sent_at = ` + earlierOf("first_sent_at") + `, first_heard_at = ` + earlierOf("first_heard_at") + `,
			last_heard_at = max(last_heard_at, excluded.last_heard_at)`,
		`DELETE FROM chat WHERE contact = ?2`,
		`INSERT INTO optout (contact, at) SELECT ?1, at FROM optout WHERE contact = ?2
			ON CONFLICT DO UPDATE SET at = min(at, excluded.at)`,
		`DELETE FROM optout WHERE contact = ?2`,
		`INSERT INTO text_sent (account, hash, contact, at) SELECT account, hash, ?1, at FROM text_sent WHERE contact = ?2
			ON CONFLICT DO UPDATE SET at = max(at, excluded.at)`,
		`DELETE FROM text_sent WHERE contact = ?2`,
		`UPDATE contact_number SET contact = ?1 WHERE contact = ?2`,
		`DELETE FROM contact WHERE id = ?2`,
	}
}

// earlierOf is the earlier of two times in an upsert, of which 0 is none.
func earlierOf(column string) string {
	return `coalesce(min(nullif(` + column + `, 0), nullif(excluded.` + column + `, 0)), ` + column + ` + excluded.` + column + `)`
}

// merge makes two contacts one, under the older ID.
func (m *mapping) merge(ctx context.Context, a, b contact) (contact, error) {
	if b.id < a.id {
		a, b = b, a
	}
	for _, statement := range mergeContacts() {
		if _, err := m.q.ExecContext(ctx, statement, a.id, b.id); err != nil {
			return a, err
		}
	}
	joined := contact{a.id, cmp.Or(a.phone, b.phone), cmp.Or(a.lid, b.lid)}
	_, err := m.q.ExecContext(ctx, `UPDATE contact SET phone = nullif(?, ''), lid = nullif(?, '') WHERE id = ?`, joined.phone, joined.lid, a.id)
	if err != nil {
		return a, err
	}
	return joined, m.tell(ctx, merged{contact: a.id, gone: b.id})
}

// tell keeps an event in the transaction of the change: whoever reports events to callers finds it there.
func (m *mapping) tell(ctx context.Context, event merged) error {
	m.merged = append(m.merged, event)
	_, err := m.q.ExecContext(ctx, `INSERT INTO contact_event (account, at, what, contact, gone) VALUES (?, ?, 'contact.merged', ?, ?)`,
		m.account, millis(m.at), event.contact, event.gone)
	return err
}

// of makes the changes that follow an account's, at a time.
func (m *mapping) of(ctx context.Context, account string, at time.Time) error {
	m.account, m.at = account, at
	return needAccount(ctx, m.q, account)
}

// remap runs a change that may learn who is who, and logs once what was joined by it.
func (db *DB) remap(ctx context.Context, change func(context.Context, *mapping) error) error {
	var m *mapping
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		m = &mapping{q: q}
		return change(ctx, m)
	})
	if err != nil {
		return err
	}
	for _, event := range m.merged {
		db.log.Info("contact.merged", "contact", event.contact, "gone", event.gone)
	}
	return nil
}
