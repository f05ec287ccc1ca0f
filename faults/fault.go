package main

import (
	"fmt"
	"strings"
)

// fault is one thing that goes wrong. Quick and long are how often it is done in either set; 0 leaves it out.
type fault struct {
	id, name    string
	quick, long int
	run         func(*trial)
}

// faults are all of them, those that take long first, so that they do not end last, and those that wait among those that work.
func faults() []fault {
	return []fault{
		{"F1", "kill -9 at random instants", 100, 200, killAtRandom},
		{"F17", "WhatsApp never answers", 1, 3, neverAnswers},
		{"F19", "each way in which WhatsApp ends a link", 1, 1, endsOfTheLink},
		{"F18", "acks lost, twice, late", 1, 5, oddAcks},
		{"F16", "half-open connection to WhatsApp", 1, 5, halfOpen},
		{"F30", "SIGSTOP, and much later SIGCONT", 1, 2, frozen},
		{"F28", "a fifth of all packets lost", 1, 1, loss},
		{"F33", "64 MiB of memory", 1, 1, littleMemory},
		{"F38", "upgrade with work waiting, and downgrade", 1, 1, upgrade},
		{"F9", "disk full in the middle of work", 1, 5, diskFullAtWork},
		{"F27", "DNS server away", 1, 1, namesAway},
		{"F23", "receivers that refuse, stall or never end", 1, 1, hostileReceivers},
		{"F7", "power cut right after pairing", 6, 30, powerCutPairing},
		{"F6", "power cut while the schema changes", 6, 30, powerCutMigration},
		{"F40", "frames that make no sense", 10, 300, nonsense},
		{"F32", "SIGTERM while pairing, logging in, changing the schema", 3, 20, stopAnywhere},
		{"F31", "SIGTERM under load", 10, 100, stopUnderLoad},
		{"F14", "2,000 messages from contacts at once", 1, 3, burst},
		{"F34", "64 handles and 500 clients", 1, 3, fewHandles},
		{"F5/ext4", "power cut", 6, 50, powerCutExt4},
		{"F5/xfs", "power cut", 6, 50, powerCutXFS},
		{"F13", "ledger locked by another process", 1, 3, lockedStore},
		{"F10", "volume turns read-only", 1, 1, readOnly},
		{"F22", "Slack down, busy, refusing, silent", 1, 1, slackInTrouble},
		{"F15", "connection cut in mid-frame", 10, 200, midFrame},
		{"F20", "logged out while tasks wait", 1, 2, loggedOut},
		{"F35", "500 slow callers", 1, 1, slowCallers},
		{"F39/ledger", "an old copy of the ledger is restored", 1, 1, restore},
		{"F39/keys", "an old copy of WhatsApp's keys is put back", 1, 3, oldKeys},
		{"F2", "kill -9 between commit and answer", 6, 50, killBeforeAnswer},
		{"F3", "kill -9 between a message and its ack", 6, 50, killBeforeAck},
		{"F4", "kill -9 after a callback's 2xx", 6, 50, killAfterCallback},
		{"F8", "disk full while work is accepted", 1, 5, diskFull},
		{"F11", "data of another user", 1, 1, foreignStore},
		{"F12", "second daemon on the same data", 3, 20, secondInstance},
		{"F24", "receivers that redirect", 1, 1, redirects},
		{"F25", "names that change their address", 1, 1, rebinding},
		{"F26", "a dead receiver with a great backlog", 1, 1, deadReceiver},
		{"F36", "callers that do not wait for the answer", 50, 1000, hastyCallers},
	}
}

// cycles is how often a fault is done in a set, 0 when it is not part of it.
func (f fault) cycles(set string) int {
	if set == "long" {
		return f.long
	}
	return f.quick
}

// choose returns the faults of a set, or those that were named: F5 is F5/ext4 and F5/xfs.
func choose(set, only string) ([]fault, error) {
	if set != "quick" && set != "long" {
		return nil, fmt.Errorf("the set is quick or long, not %q", set)
	}
	var chosen []fault
	if only == "" {
		for _, f := range faults() {
			if f.cycles(set) > 0 {
				chosen = append(chosen, f)
			}
		}
		return chosen, nil
	}
	for id := range strings.SplitSeq(only, ",") {
		found := find(strings.TrimSpace(id))
		if len(found) == 0 {
			return nil, fmt.Errorf("no fault %q runs here; docs/reliability.md names the tests of those that do not", id)
		}
		chosen = append(chosen, found...)
	}
	return chosen, nil
}

// find returns the faults with a number, or the one with a number and a kind.
func find(id string) (found []fault) {
	for _, f := range faults() {
		if strings.EqualFold(f.id, id) || strings.HasPrefix(strings.ToUpper(f.id), strings.ToUpper(id)+"/") {
			found = append(found, f)
		}
	}
	return found
}
