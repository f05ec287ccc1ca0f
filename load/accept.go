package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
)

// accept measures how work is taken while WhatsApp is away, so that nothing else goes on: at the rate of the goal, and as fast
// as answers come. The bare handler gets the same requests.
func accept(ctx context.Context, b *bench) error {
	const rate = 1000
	w, err := linked(ctx, b)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.away(ctx); err != nil {
		return err
	}
	bare, address, err := bareHandler(b)
	if err != nil {
		return err
	}
	defer bare.kill()
	var of, bares [2]answers // at the rate, and as fast as it goes
	for i, rate := range []float64{rate, 0} {
		d := w.messages(rate)
		of[i] = d.during(ctx, b.span)
		if _, err := w.keep(of[i]); err != nil {
			return err
		}
		d.address = address
		bares[i] = d.during(ctx, b.span)
		if err := errors.Join(of[i].err(), bares[i].err()); err != nil {
			return err
		}
	}
	b.tell(fmt.Sprintf("accept, %d/s offered", rate), fmt.Sprintf("%.0f/s, 0 errors", of[0].perSecond()), fmt.Sprintf("%.0f/s", bares[0].perSecond()), ">= 1,000/s, 0 errors")
	for i, percent := range []int{50, 99} {
		daemons, bare := of[0].percentile(percent), bares[0].percentile(percent)
		b.tell(fmt.Sprintf("  p%d", percent), ms(daemons), beside(ms(bare), daemons.Seconds(), bare.Seconds()), []string{"<= 10 ms", "<= 50 ms"}[i])
	}
	b.tell(fmt.Sprintf("accept, %d clients, as fast as it goes", clients), fmt.Sprintf("%.0f/s", of[1].perSecond()),
		beside(fmt.Sprintf("%.0f/s", bares[1].perSecond()), of[1].perSecond(), bares[1].perSecond()), ">= 1,000/s")
	b.tell("  p50, p99", ms(of[1].percentile(50))+", "+ms(of[1].percentile(99)), ms(bares[1].percentile(50))+", "+ms(bares[1].percentile(99)), "")
	if _, err := w.daemon.stop(); err != nil {
		return err
	}
	return w.reckon(ctx, false)
}

// refuse measures the refusal of calls without a right token. From one address these come late on purpose after ten, so each
// connection has an address of its own.
func refuse(ctx context.Context, b *bench) error {
	const free = 10 // refusals of one address that come at once
	w, err := newWorld(ctx, b, map[string]string{"WHATSAPPD_PAIRING_AUTO": "false"})
	if err != nil {
		return err
	}
	defer w.close()
	bare, address, err := bareHandler(b)
	if err != nil {
		return err
	}
	defer bare.kill()
	var last atomic.Uint32
	d := drive{address: w.address, each: free, status: http.StatusUnauthorized,
		from: func() net.Addr {
			n := last.Add(1)
			return &net.TCPAddr{IP: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}
		},
		request: func(int) []byte {
			return []byte("POST /ws/check/4915112345678/http://host/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token token=wrong\r\nContent-Length: 0\r\n\r\n")
		},
	}
	daemons := d.during(ctx, b.span)
	d.address = address
	bares := d.during(ctx, b.span)
	if err := errors.Join(daemons.err(), bares.err()); err != nil {
		return err
	}
	b.tell("refusal of a wrong token, ten on a connection", fmt.Sprintf("%.0f/s", daemons.perSecond()),
		beside(fmt.Sprintf("%.0f/s", bares.perSecond()), daemons.perSecond(), bares.perSecond()), ">= 10,000/s")
	b.tell("  p50, p99", ms(daemons.percentile(50))+", "+ms(daemons.percentile(99)), ms(bares.percentile(50))+", "+ms(bares.percentile(99)), "")
	_, err = w.daemon.stop()
	return err
}
