//go:build !race

package simulator_test

var mediaRows = map[string]func(*scene){}
