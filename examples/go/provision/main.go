// Brings the users of a product into herald, and welcomes each of them in the name of somebody.
//
//	KEY=hsk_… go run ./provision < users.jsonl
//	KEY=hsk_… SENDER=external:42 go run ./provision < users.jsonl
//
// Each line of the input is a user: {"externalId": "42", "handle": "ada", "displayName": "Ada"}. The handle and the name
// may be left out. To run it again changes what has changed, and nobody is welcomed twice. `herald key add` makes the
// key; it needs the scope `provision`, and `send` for the welcome. Nothing but Go's standard library is needed (1.19 or
// later). HERALD_URL names a herald that is not on this machine.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

// herald takes at most so many users in one call, all or none.
const usersPerCall = 1_000

const upsert = `mutation ($users: [UpsertUserInput!]!) {
  upsertUsers(input: { users: $users }) { created users { handle externalId } }
}`

const start = `mutation ($handle: String!) {
  startConversation(input: { participantHandles: [$handle], distinct: true }) { conversation { id } }
}`

const send = `mutation ($conversation: ID!, $body: String!, $key: String!) {
  sendMessage(input: { conversationId: $conversation, body: $body, idempotencyKey: $key }) { message { id } }
}`

// NewUser is a user as the product knows them.
type NewUser struct {
	ExternalID  string `json:"externalId"`
	Handle      string `json:"handle,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
}

// User is a user as herald knows them.
type User struct {
	ExternalID string `json:"externalId"`
	Handle     string `json:"handle"`
}

// Refused says that herald refuses the request. To repeat it is no use.
type Refused struct{ Errors json.RawMessage }

func (refused Refused) Error() string { return fmt.Sprintf("herald refuses: %s", refused.Errors) }

// Herald is the API, for a service.
type Herald struct {
	url, key string
	client   http.Client
}

// ask asks herald until it answers. Everything that is asked here may be repeated safely.
func (herald *Herald) ask(query string, variables map[string]any, actAs string, data any) error {
	for {
		err := herald.try(query, variables, actAs, data)
		if err == nil || errors.As(err, &Refused{}) {
			return err
		}
		log.Printf("%v; it tries again", err)
		time.Sleep(time.Second)
	}
}

// try asks once.
func (herald *Herald) try(query string, variables map[string]any, actAs string, data any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, herald.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+herald.key)
	request.Header.Set("Content-Type", "application/json")
	if actAs != "" {
		request.Header.Set("X-Act-As", actAs)
	}
	response, err := herald.client.Do(request)
	if err != nil {
		return err // The connection was lost.
	}
	defer response.Body.Close()
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	// 5xx says that herald cannot answer now, 429 that too much is under way. Both pass.
	if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		return errors.New(response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Errors != nil {
		return refusal(answer.Errors)
	}
	return json.Unmarshal(answer.Data, data)
}

// refusal tells what passes from what does not.
func refusal(raw json.RawMessage) error {
	var each []struct{ Extensions struct{ Code string } }
	if err := json.Unmarshal(raw, &each); err != nil {
		return err
	}
	for _, one := range each {
		if one.Extensions.Code == "UNAVAILABLE" || one.Extensions.Code == "RATE_LIMITED" {
			return errors.New(one.Extensions.Code)
		}
	}
	return Refused{raw}
}

// provision makes or updates users, and returns them as herald knows them, in the same order.
func (herald *Herald) provision(users []NewUser) ([]User, error) {
	var data struct {
		UpsertUsers struct {
			Created int
			Users   []User
		}
	}
	err := herald.ask(upsert, map[string]any{"users": users}, "", &data)
	upserted := data.UpsertUsers
	log.Printf("%d of %d are new", upserted.Created, len(upserted.Users))
	return upserted.Users, err
}

// welcome sends somebody a message in the name of the sender, once.
func (herald *Herald) welcome(sender string, user User) error {
	var data struct {
		StartConversation struct{ Conversation struct{ ID string } }
	}
	if err := herald.ask(start, map[string]any{"handle": user.Handle}, sender, &data); err != nil {
		return err
	}
	return herald.ask(send, map[string]any{
		"conversation": data.StartConversation.Conversation.ID,
		"body":         fmt.Sprintf("Welcome, %s!", user.Handle),
		// The same key for the same welcome: a repeated send answers with the message of the first.
		"key": fmt.Sprintf("welcome %x", sha256.Sum256([]byte(user.ExternalID))),
	}, sender, &struct{}{})
}

// read returns the users of the input.
func read(input io.Reader) (users []NewUser, err error) {
	for decoder := json.NewDecoder(input); ; {
		var user NewUser
		if err := decoder.Decode(&user); err == io.EOF {
			return users, nil
		} else if err != nil {
			return nil, err
		}
		users = append(users, user)
	}
}

func run(herald *Herald, sender string) error {
	users, err := read(os.Stdin)
	if err != nil {
		return err
	}
	for begin := 0; begin < len(users); begin += usersPerCall {
		end := begin + usersPerCall
		if end > len(users) {
			end = len(users)
		}
		known, err := herald.provision(users[begin:end])
		if err != nil {
			return err
		}
		for _, user := range known {
			isSender := sender == "external:"+user.ExternalID || sender == "handle:"+user.Handle
			if sender != "" && !isSender {
				if err := herald.welcome(sender, user); err != nil {
					return err
				}
			}
			if err := json.NewEncoder(os.Stdout).Encode(user); err != nil {
				return err
			}
		}
	}
	return nil
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("provision: ")
	url := os.Getenv("HERALD_URL")
	if url == "" {
		url = "http://127.0.0.1:8000/graphql"
	}
	herald := &Herald{url: url, key: os.Getenv("KEY"), client: http.Client{Timeout: 30 * time.Second}}
	if err := run(herald, os.Getenv("SENDER")); err != nil {
		log.Fatal(err)
	}
}
