// Follows the deliveries of all users, for a back end: what was sent, received and read, in order, once.
//
//	KEY=hsk_… go run ./follow-log log.json
//
// The key needs the scope `read` (`herald key add NAME --scope read`). The program keeps its place in the file, together
// with what it made of the events, so it goes on there after it was killed. Without a file it begins now.
//
// It reads CloudEvents over server-sent events (`GET /log`) with nothing but Go's standard library (1.19 or later).
// HERALD_URL names a herald that is not on this machine.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

// herald writes a sign of life every 25 seconds (--ping-interval). After two missing ones the connection is dead.
const silence = time.Minute

// Refused says that herald refuses. To repeat it is no use.
type Refused struct{ Answer string }

func (refused Refused) Error() string { return "herald refuses: " + refused.Answer }

// Event is what is used of a CloudEvent.
type Event struct {
	Type string
	Data struct{ Status string }
}

// State is what is kept: the place in the log, and what was made of everything up to it.
type State struct {
	Place  string         `json:"place"`
	Counts map[string]int `json:"counts"`
}

// Deal is called with each place, and with the CloudEvent if there is one. What it returns ends the program.
type Deal func(place string, event json.RawMessage) error

// broken is what a connection has come to. It passes.
type broken struct{ error }

// receive deals with everything after a place, until the connection ends. It always returns an error.
func receive(url, key, after string, deal Deal) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.AfterFunc(silence, cancel)
	defer timer.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/log", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Authorization", "Bearer "+key)
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return broken{err}
	}
	defer response.Body.Close()
	// 5xx says that herald cannot answer now, 429 that too much is under way. Both pass.
	if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		return broken{errors.New(response.Status)}
	}
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(response.Body)
		return Refused{string(answer)}
	}
	place, name, data := after, "", ""
	for reader := bufio.NewReader(response.Body); ; {
		timer.Reset(silence)
		line, err := reader.ReadString('\n')
		timer.Stop()
		if err != nil {
			return broken{err}
		}
		line = strings.TrimRight(line, "\r\n")
		field, value, _ := strings.Cut(line, ": ") // A sign of life is a line with a colon alone.
		switch {
		case field == "id":
			place = value
		case field == "event":
			name = value
		case field == "data":
			data = value
		case line == "" && name == "error":
			return Refused{data}
		case line == "": // An empty line ends an event. The first has no data, and says where the log begins for us.
			if err := deal(place, json.RawMessage(data)); err != nil {
				return err
			}
			name, data = "", ""
		}
	}
}

// follow deals with everything after a place, once and in order, for ever.
func follow(url, key, after string, deal Deal) error {
	for {
		err := receive(url, key, after, func(place string, event json.RawMessage) error {
			if err := deal(place, event); err != nil {
				return err
			}
			after = place // Only now that it is dealt with.
			return nil
		})
		if !errors.As(err, &broken{}) {
			return err
		}
		log.Printf("%v; it connects again", err)
		time.Sleep(time.Second)
	}
}

// take counts what was sent, and what was received and read. Put your own work here.
func take(counts map[string]int, raw json.RawMessage) error {
	var event Event
	if err := json.Unmarshal(raw, &event); err != nil {
		return err
	}
	kind := event.Type
	if kind == "herald.status.changed" {
		kind = event.Data.Status
	}
	counts[kind]++
	return nil
}

// load reads what was kept. Without a file there is nothing yet.
func load(path string) (state State, err error) {
	state.Counts = map[string]int{}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	} else if err != nil {
		return state, err
	}
	return state, json.Unmarshal(text, &state)
}

// keep writes the state. Place and counts change together, or not at all: the name is given to the file only when it is
// whole.
func (state State) keep(path string) error {
	file, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := json.NewEncoder(file).Encode(state); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func run(url, key, path string) error {
	state, err := load(path)
	if err != nil {
		return err
	}
	return follow(url, key, state.Place, func(place string, event json.RawMessage) error {
		state.Place = place
		if len(event) > 0 {
			if err := take(state.Counts, event); err != nil {
				return err
			}
		}
		if err := state.keep(path); err != nil {
			return err
		}
		if len(event) > 0 {
			fmt.Println(string(event))
		}
		return nil
	})
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("follow-log: ")
	url := os.Getenv("HERALD_URL")
	if url == "" {
		url = "http://127.0.0.1:8000/graphql"
	}
	if len(os.Args) != 2 {
		log.Fatal("say in which file to keep the place: follow-log log.json")
	}
	log.Fatal(run(strings.TrimSuffix(url, "/graphql"), os.Getenv("KEY"), os.Args[1]))
}
