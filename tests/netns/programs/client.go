// SPDX-License-Identifier: Apache-2.0
//
// client ADDRESS PORT NAME CA PATH - gets https://NAME:PORT/PATH twice on one HTTP/1.1 connection, then twice at once on
// one HTTP/2 connection, both to ADDRESS. Prints for each the version and the body's SHA-256. Go brings a TLS and an
// HTTP/2 of its own.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func get(client *http.Client, url string) {
	answer, err := client.Get(url)
	check(err)
	hash := sha256.New()
	_, err = io.Copy(hash, answer.Body)
	check(err)
	check(answer.Body.Close())
	fmt.Printf("%s %x\n", answer.Proto, hash.Sum(nil))
}

func newClient(endpoint string, roots *x509.CertPool, http2 bool) *http.Client {
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: http2,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, endpoint)
		},
	}}
}

func main() {
	endpoint := net.JoinHostPort(os.Args[1], os.Args[2])
	url := "https://" + net.JoinHostPort(os.Args[3], os.Args[2]) + os.Args[5]
	pem, err := os.ReadFile(os.Args[4])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)

	one := newClient(endpoint, roots, false)
	get(one, url)
	get(one, url)

	two := newClient(endpoint, roots, true)
	get(two, "https://"+net.JoinHostPort(os.Args[3], os.Args[2])+"/small")
	var both sync.WaitGroup
	for i := 0; i < 2; i++ {
		both.Add(1)
		go func() {
			defer both.Done()
			get(two, url)
		}()
	}
	both.Wait()
}
