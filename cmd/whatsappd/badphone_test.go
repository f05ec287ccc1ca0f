package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadPhones(t *testing.T) { //nolint:tparallel // one daemon, and a log that is read at the end
	t.Parallel()
	d := newDoor(t, 1)
	back := d.back()
	// The number stands in the same place of both endpoints.
	refused := func(t *testing.T, says string, phones ...string) {
		t.Helper()
		for _, phone := range phones {
			d.refused(t, says, "/ws/check/"+phone+"/"+back, "/ws/message/"+phone+"/hello/"+back)
		}
	}
	t.Run("23 empty phone", func(t *testing.T) { refused(t, "phone number", "", "+", "%20", "(", "%28%29") })
	t.Run("24 phone of zeros", func(t *testing.T) { refused(t, "begins with 0", "0", "00", "000000000000") })
	t.Run("25 too few digits", func(t *testing.T) { refused(t, "7 to 15 digits", "4", "49151", "491512") })
	t.Run("26 too many digits", func(t *testing.T) {
		id := d.taken(t, "/ws/check/491511234567890/"+back)
		require.Equal(t, "491511234567890", d.task(id).Number)
		refused(t, "7 to 15 digits", "4915112345678901", strings.Repeat("4", 3000))
	})
	t.Run("27 blanks, dashes, dots and brackets", func(t *testing.T) {
		for _, phone := range []string{"+49%20151%2012345678", "49-151-12345678", "49.151.12345678", "+49%20(151)%2012345678", "(49)15112345678"} {
			id := d.taken(t, "/ws/check/"+phone+"/"+back)
			require.Equal(t, "4915112345678", d.task(id).Number)
		}
		refused(t, "something else than digits", "49%09151123456", "49_151123456", ".49151123456", "49%C2%A0151123456")
	})
	t.Run("28 prefix in place of the country code", func(t *testing.T) {
		refused(t, "with the country code and without 00", "004915112345678", "015112345678", "+0049151123456", "0-4915112345678")
	})
	t.Run("29 other digits than ASCII", func(t *testing.T) {
		refused(t, "something else than digits", "٤٩١٥١١٢٣٤٥٦٧٨", "%D9%A4%D9%A9151123456", "４９１５１１２３４５６７８", "4915112345６78")
	})
	t.Run("30 addresses", func(t *testing.T) {
		refused(t, "something else than digits",
			"4915112345678@g.us", "123@g.us", "status@broadcast", "4915112345678:4@s.whatsapp.net", "4915112345678@s.whatsapp.net", "707135720905076@lid", "4915112345678@newsletter", "4915112345678%40lid")
	})
	t.Run("31 what only resembles a number", func(t *testing.T) {
		refused(t, "something else than digits",
			"%D9%A1", "1e10", "1e100000000", "0x49", "-4915112345678", "4915112345678;rm", "4915112345678'--", "4915112345678%0A", "++4915112345678", "4915112345678x5", "²4915112345678")
	})
	t.Run("32 own number", func(t *testing.T) {
		d.hook.result(d.taken(t, "/ws/login/"+back), "Please scan qr code")
		d.pair()
		d.hook.result(d.taken(t, "/ws/check/"+ownerPhone+"/"+back), "True")
		d.hook.result(d.taken(t, "/ws/message/"+contact(1)+"/hello/"+back), "True")
		for _, text := range []string{"first", "second"} {
			d.hook.result(d.taken(t, "/ws/message/"+ownerPhone+"/"+text+"/"+back), "True")
		}
		inbox := d.inbox(ownerPhone, 3)
		require.Equal(t, []string{"hello", "first", "second"}, texts(inbox), "notes to oneself")
		require.Equal(t, ownerPhone, inbox[1].SentTo)
	})
	d.flawless()
	d.clean(t)
}
