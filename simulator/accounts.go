package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// AccountInfo describes an account.
type AccountInfo struct {
	Number     string       `json:"number"`
	LID        string       `json:"lid"`
	Name       string       `json:"name,omitempty"`
	Registered bool         `json:"registered"`
	Behaviour  Behaviour    `json:"behaviour,omitzero"`
	Limits     Limits       `json:"limits,omitzero"`
	Devices    []DeviceInfo `json:"devices"`
}

// DeviceInfo describes one of an account's devices.
type DeviceInfo struct {
	// ID is the device's number; 0 is the phone.
	ID uint16 `json:"id"`
	// Linked is true for a client that paired, false for a virtual device.
	Linked    bool `json:"linked"`
	Connected bool `json:"connected"`
	// Version is what a client announced at its last login, such as 2.3000.1035000000; empty before the first.
	Version string `json:"version,omitempty"`
	// Waiting is how many stanzas the client has not acknowledged.
	Waiting int `json:"waiting"`
}

// Linked returns the numbers of the clients that paired with the account.
func (a AccountInfo) Linked() []uint16 {
	var ids []uint16
	for _, d := range a.Devices {
		if d.Linked {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

var errNoAccount = errors.New("no such account")

// Account describes one account.
func (s *Server) Account(number string) (AccountInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.byNumber[number]
	if a == nil {
		return AccountInfo{}, errNoAccount
	}
	return a.info(), nil
}

// Accounts describes all accounts, by number.
func (s *Server) Accounts() []AccountInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := []AccountInfo{}
	for _, a := range s.directory.sorted() {
		infos = append(infos, a.info())
	}
	return infos
}

func (a *account) info() AccountInfo {
	info := AccountInfo{
		Number: a.number, LID: a.lid, Name: a.name, Registered: a.registered, Behaviour: a.behaviour, Limits: a.limits,
		Devices: []DeviceInfo{},
	}
	for _, id := range slices.Sorted(maps.Keys(a.devices)) {
		d := a.devices[id]
		info.Devices = append(info.Devices, DeviceInfo{ID: id, Linked: d.linked(), Connected: d.conn != nil, Version: d.version, Waiting: len(d.waiting)})
	}
	return info
}

// maxAccounts is how many accounts one call adds.
const maxAccounts = 10_000

// AddAccounts adds so many accounts that differ in their number only: that of like, followed by a counter from 0 with as
// many digits as the highest one has. It returns the numbers.
func (s *Server) AddAccounts(like AccountSpec, count int) ([]string, error) {
	if count < 1 || count > maxAccounts {
		return nil, fmt.Errorf("one call adds 1 to %d accounts", maxAccounts)
	}
	prefix, digits := like.Number, len(strconv.Itoa(count-1))
	numbers := make([]string, count)
	for i := range numbers {
		like.Number = fmt.Sprintf("%s%0*d", prefix, digits, i)
		if err := s.AddAccount(like); err != nil {
			return nil, err
		}
		numbers[i] = like.Number
	}
	return numbers, nil
}
