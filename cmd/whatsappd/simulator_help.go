package main

import (
	"fmt"
	"io"
	"os"

	"whatsappd/simulator"
)

// Help implements kong.HelpProvider.
func (c *simulatorCommand) Help() string {
	return `This is not WhatsApp. It is the server's half of the protocol on this machine, for tests and for trying a client without a
phone: whatsappd, or any program with whatsmeow or Baileys. Clients pair, look numbers up, send and receive with real
cryptography; virtual phones are the people they write to. It listens on loopback addresses, talks to nobody, and proves
nothing about the real server's limits, bans and timing.

First steps:

  whatsappd simulator
  curl localhost:8090/v1/accounts -d '{"number":"15550100100","name":"You"}'
  curl localhost:8090/v1/accounts -d '{"number":"15550100101","name":"Ana","behaviour":{"receipts":"read","echo":true}}'

then start a client as the simulator's first lines say, and let your virtual phone scan its code:

  whatsappd simulator scan --phone 15550100100 'TEXT OF THE CODE'

It goes on showing both sides of every chat. Flags of "whatsappd simulator", which is short for "whatsappd simulator run":

  --addr=ADDRESS     where clients connect, 127.0.0.1:8100
  --control=ADDRESS  where the control API listens, 127.0.0.1:8090
  --state=FILE       keep everything in this file; else all is forgotten at the end
  --hostile=0-100    how bad the network is
  --seed=NUMBER      repeat the mischief of an earlier hostile run
  --web-version=N    the newest revision of WhatsApp's web client, for clients that compare theirs
  --json             print addresses and root key as one line of JSON, and nothing else
  --quiet            do not show the chats

The control API adds accounts, writes messages, reads inboxes, sets faults: see docs/simulator.md, or
http://127.0.0.1:8090/v1/openapi.json while it runs.`
}

// welcome prints what the simulator is and how a client finds it.
func (c *simulatorRunCommand) welcome(out io.Writer, info simulator.Info) {
	fmt.Fprintf(out, `This is not WhatsApp: it is a simulator for tests, on loopback only.

  clients      %s
  root key     %s
  control API  %s/v1 (docs/simulator.md)

Start a daemon against it, on an empty data directory:

  WHATSAPPD_SIMULATOR_ADDR=%s WHATSAPPD_SIMULATOR_ROOT_KEY=%s %s serve

Give it a phone, and let that scan the daemon's code:

  curl %s/v1/accounts -d '{"number":"%s","name":"You"}'
  %s simulator scan

`, info.Address, info.RootKey, info.Control, info.Address, info.RootKey, os.Args[0], info.Control, sandboxPhone, os.Args[0])
	if info.Hostile > 0 {
		fmt.Fprintf(out, "Hostile: once more with --hostile %d --seed %d\n\n", info.Hostile, info.Seed)
	}
}
