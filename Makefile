# Thin targets: each is one command that can be read here and typed by hand.
# Needs Go, a C compiler (SQLite) and git.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
OUT ?= bin/whatsappd
FUZZTIME ?= 30s
HOSTILE ?= 30
SEEDS ?= 20
SEED ?= 0
SOAK ?= 1h
KILL ?= 5m
FAULT ?=
LOAD ?=
MESSAGES ?= 5000
SLOW ?= 10000
TASKS ?= 1000000
TAGS = sqlite_omit_load_extension osusergo netgo nomsgpack
# SQLite plans a statement once. By default it looks at the values of parameters too, and compiles many statements anew at each use.
SQLITE = -O2 -g -DSQLITE_ENABLE_QPSG

.PHONY: build run test hostile soak faults faults-long flat large load lint fuzz interop bench image clean

build: ## one static binary: bin/whatsappd
	CGO_ENABLED=1 CGO_CFLAGS="$(SQLITE)" go build -trimpath -tags "$(TAGS)" \
		-ldflags "-s -w -X main.version=$(VERSION) -linkmode external -extldflags=-static" \
		-o $(OUT) ./cmd/whatsappd

run: ## daemon and simulator together: no phone, no internet
	go build -o bin/whatsappd ./cmd/whatsappd && exec bin/whatsappd sandbox

test: ## with the race detector, which is told what the protocol library does to itself
	go vet ./... && GORACE="suppressions=$(CURDIR)/tools/library-races.txt $(GORACE)" go test -race -shuffle=on -timeout 20m ./... && tools/norace.sh

hostile: ## the end-to-end tests on a network as bad as $(HOSTILE) of 100, for $(SEEDS) seeds from $(SEED) on (0: a new one); SCENARIOS picks some
	cd cmd/whatsappd && go test -timeout 3h -parallel 9 -count $(SEEDS) -hostile $(HOSTILE) -seed $(SEED) \
		-run "^($${SCENARIOS:-$$(grep -l 'newWorld(t' *_test.go | xargs grep -ho '^func Test[A-Za-z0-9]*' | cut -c6- | paste -sd'|')})$$"

soak: ## the daemon under load on a bad network, killed every $(KILL), for $(SOAK)
	cd cmd/whatsappd && go test -timeout 24h -run TestEveryTaskEndsOnce -hostile $(HOSTILE) -seed $(SEED) -soak $(SOAK) -soak-rate 20 -soak-kill $(KILL)

faults: ## kill -9, power cuts, full disks, dead networks and the like, and what was lost: nothing; FAULT=F5 picks one
	go run ./faults -set quick -seed $(SEED) -only "$(FAULT)"

faults-long: ## the same faults more often and for longer
	go run ./faults -set long -seed $(SEED) -only "$(FAULT)"

flat: ## what 500 reconnects and $(MESSAGES) messages leave behind, and what a history of 500 MB and $(SLOW) slow clients do to memory: nothing
	cd session && go test -timeout 1h -count 1 -run TestReconnectsLeaveNothingBehind -reconnects 500
	cd cmd/whatsappd && go test -timeout 12h -count 1 -run TestMessagesLeaveNothingBehind -messages $(MESSAGES)
	cd cmd/whatsappd && go test -timeout 1h -count 1 -run TestAHistoryAndAQueueFitIntoMemory -history 500 -queued 5000
	cd cmd/whatsappd && go test -timeout 1h -count 1 -v -run TestSlowClients -slow $(SLOW)

large: ## a ledger of $(TASKS) finished tasks and a tenth of that queued: its start, and what its upkeep costs those who ask meanwhile
	cd store && go test -timeout 1h -count 1 -v -run TestALargeLedger -tasks $(TASKS)

load: ## what the daemon can do on this machine, beside a bare handler; LOAD="-only accept -for 60s" picks and stretches
	go run ./load $(LOAD)

lint: ## the linters are a module of their own, so that they are not in ours
	go tool -modfile=tools/go.mod golangci-lint run --allow-serial-runners
	cd interop/whatsmeow2025 && go tool -modfile=../../tools/go.mod golangci-lint run --allow-serial-runners

fuzz: ## every fuzz target for $(FUZZTIME)
	tools/fuzz.sh $(FUZZTIME)

interop: ## clients that others wrote against the simulator; needs Node 18 or later, and npm
	go build -o bin/whatsappd ./cmd/whatsappd
	go -C interop/whatsmeow2025 build -o ../../bin/whatsmeow2025 .
	cd interop/baileys && npm ci --ignore-scripts
	go run ./interop

bench:
	go test -run '^$$' -bench . -benchmem ./...

image:
	docker build --build-arg VERSION=$(VERSION) -t whatsappd .

clean: ## what was built; never data
	rm -rf bin interop/baileys/node_modules
