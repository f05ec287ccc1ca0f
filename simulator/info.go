package simulator

// Notice is what the control API says of itself in every description.
const Notice = "This is not WhatsApp. It is a simulator for tests; its keys, accounts and messages are made up."

// Info says where a simulator is and which root key its clients must trust.
type Info struct {
	Address string `json:"address"`           // host:port for clients
	RootKey string `json:"root_key"`          // hex of 32 bytes
	Control string `json:"control,omitempty"` // base URL of the control API
	Hostile int    `json:"hostile,omitempty"` // 1 to 100 on a hostile server, with its seed
	Seed    uint64 `json:"seed,omitempty"`
	Notice  string `json:"notice,omitempty"`
}

// Info describes the server.
func (s *Server) Info() Info {
	info := Info{Address: s.Addr(), RootKey: s.RootKey(), Notice: Notice}
	if s.opts.Hostile > 0 {
		info.Hostile, info.Seed = s.opts.Hostile, s.opts.Seed
	}
	return info
}
