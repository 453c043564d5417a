// apiload measures an API server from outside: it speaks the Kubernetes REST API (JSON over TLS) with the standard
// library only, so that the load tool costs the measured machine little. One JSON line a row on standard output.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

var (
	server   = flag.String("server", "https://127.0.0.1:6443", "the API server's address")
	ca       = flag.String("ca", "", "file of the CA that signed the server's certificate")
	cert     = flag.String("cert", "", "file of the client certificate")
	key      = flag.String("key", "", "file of the client key")
	ns       = flag.String("namespace", "default", "namespace to work in; it must exist")
	n        = flag.Int("n", 1000, "requests")
	c        = flag.Int("c", 1, "clients at once")
	op       = flag.String("op", "", "create | get | list | patchstatus | delete | put | watch")
	client   *http.Client
	instance = fmt.Sprint(time.Now().UnixNano() % 1e9)
)

type object = map[string]any

func fatal(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "apiload: "+format+"\n", a...)
	os.Exit(1)
}

func call(method, path, ctype string, body any) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, *server+path, reader)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", ctype)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %.300s", method, path, response.StatusCode, answer)
	}
	return answer, err
}

func pod(name string) object {
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "labels": object{"app": "apiload"}},
		"spec": object{"schedulerName": "none", "terminationGracePeriodSeconds": 0, "containers": []object{{
			"name": "c", "image": "example/app:1", "ports": []object{{"containerPort": 8080}},
			"env":       []object{{"name": "A", "value": "b"}},
			"resources": object{"requests": object{"cpu": "100m", "memory": "64Mi"}}}}}}
}

func configMap(name, value string) object {
	return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": name}, "data": object{"k": value}}
}

// report prints one row: the rate over the whole run and the quantiles of single requests in milliseconds.
func report(name string, took []time.Duration, wall time.Duration, failed int64) {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	quantile := func(p float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return float64(took[min(int(p*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	row, _ := json.Marshal(object{"what": name, "n": len(took), "clients": *c, "errors": failed,
		"per_second": float64(len(took)) / wall.Seconds(), "p50_ms": quantile(.5), "p99_ms": quantile(.99)})
	fmt.Println(string(row))
}

func run(name string, work func(i int) error) {
	took := make([][]time.Duration, *c)
	var next, failed int64 = -1, 0
	var workers sync.WaitGroup
	begin := time.Now()
	for w := range *c {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := int(atomic.AddInt64(&next, 1)); i < *n; i = int(atomic.AddInt64(&next, 1)) {
				start := time.Now()
				if err := work(i); err != nil {
					if atomic.AddInt64(&failed, 1) < 4 {
						fmt.Fprintln(os.Stderr, err)
					}
					continue
				}
				took[w] = append(took[w], time.Since(start))
			}
		}()
	}
	workers.Wait()
	wall := time.Since(begin)
	var all []time.Duration
	for _, t := range took {
		all = append(all, t...)
	}
	report(name, all, wall, failed)
}

// watchLatency changes one ConfigMap n times, one after the other, and takes the time from sending the change to
// every one of c watchers having its event.
func watchLatency(path string) {
	name := "apiload-watch-" + instance
	created, err := call("POST", path, "application/json", configMap(name, "0"))
	if err != nil {
		fatal("%v", err)
	}
	var head struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(created, &head); err != nil {
		fatal("%v", err)
	}
	type seen struct {
		at    time.Time
		value string
	}
	events := make(chan seen, 1024)
	var open sync.WaitGroup
	for range *c {
		open.Add(1)
		go func() {
			response, err := client.Get(*server + path + "?watch=true&fieldSelector=metadata.name%3D" + name + "&resourceVersion=" + head.Metadata.ResourceVersion)
			if err != nil || response.StatusCode != 200 {
				fatal("watch: %v", err)
			}
			open.Done()
			for decoder := json.NewDecoder(response.Body); ; {
				var event struct {
					Object struct{ Data map[string]string }
				}
				if decoder.Decode(&event) != nil {
					return
				}
				events <- seen{time.Now(), event.Object.Data["k"]}
			}
		}()
	}
	open.Wait()
	var took []time.Duration
	begin := time.Now()
	for i := 1; i <= *n; i++ {
		value, sent := fmt.Sprint(i), time.Now()
		if _, err := call("PUT", path+"/"+name, "application/json", configMap(name, value)); err != nil {
			fatal("%v", err)
		}
		for got := 0; got < *c; {
			if e := <-events; e.value == value {
				took = append(took, e.at.Sub(sent))
				got++
			}
		}
	}
	report("watch", took, time.Since(begin), 0)
	call("DELETE", path+"/"+name, "application/json", nil)
}

func main() {
	flag.Parse()
	authority, err := os.ReadFile(*ca)
	if err != nil {
		fatal("%v", err)
	}
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		fatal("%v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client = &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		MaxIdleConnsPerHost: 256, MaxIdleConns: 256, ForceAttemptHTTP2: true}}
	pods := "/api/v1/namespaces/" + *ns + "/pods"
	maps := "/api/v1/namespaces/" + *ns + "/configmaps"
	name := func(i int) string { return fmt.Sprintf("apiload-%d", i) }
	switch *op {
	case "create":
		run("create", func(i int) error { _, err := call("POST", pods, "application/json", pod(name(i))); return err })
	case "get":
		run("get", func(i int) error { _, err := call("GET", pods+"/"+name(i), "", nil); return err })
	case "list":
		run("list", func(int) error { _, err := call("GET", pods, "", nil); return err })
	case "patchstatus":
		run("patchstatus", func(i int) error {
			change := object{"status": object{"message": time.Now().String()}}
			_, err := call("PATCH", pods+"/"+name(i)+"/status", "application/merge-patch+json", change)
			return err
		})
	case "delete":
		run("delete", func(i int) error {
			_, err := call("DELETE", pods+"/"+name(i)+"?gracePeriodSeconds=0", "", nil)
			return err
		})
	case "put":
		if _, err := call("POST", maps, "application/json", configMap("apiload-put", "0")); err != nil {
			fatal("%v", err)
		}
		run("put", func(int) error {
			_, err := call("PUT", maps+"/apiload-put", "application/json", configMap("apiload-put", time.Now().String()))
			return err
		})
		call("DELETE", maps+"/apiload-put", "application/json", nil)
	case "watch":
		watchLatency(maps)
	default:
		fatal("-op is one of create, get, list, patchstatus, delete, put, watch")
	}
}
