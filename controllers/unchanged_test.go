package controllers

import (
	"encoding/json"
	"testing"
)

func TestWhatAnApplyWouldChange(t *testing.T) {
	tests := map[string]struct {
		live, desired string
		same          bool
	}{
		"nothing when all is there":                          {`{"a":{"b":1}}`, `{"a":{"b":1}}`, true},
		"nothing of what defaults and others add":            {`{"a":{"b":1,"c":2},"d":3}`, `{"a":{"b":1}}`, true},
		"nothing of what defaults add to the items of lists": {`{"ports":[{"port":1,"protocol":"TCP"}]}`, `{"ports":[{"port":1}]}`, true},
		"a value that is another":                            {`{"a":{"b":2}}`, `{"a":{"b":1}}`, false},
		"a value of another type":                            {`{"a":{"b":{}}}`, `{"a":{"b":1}}`, false},
		"a field that is not there":                          {`{"a":{}}`, `{"a":{"b":1}}`, false},
		"a part that is not there":                           {`{}`, `{"a":{"b":1}}`, false},
		"an item that somebody added":                        {`{"ports":[{"port":1},{"port":2}]}`, `{"ports":[{"port":1}]}`, false},
		"an item that somebody removed":                      {`{"ports":[]}`, `{"ports":[{"port":1}]}`, false},
		"what somebody added to a selector":                  {`{"selector":{"a":"b","c":"d"}}`, `{"selector":{"a":"b"}}`, false},
		"what somebody added to a toleration":                {`{"tolerations":[{"key":"a","value":"b"}]}`, `{"tolerations":[{"key":"a"}]}`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var live, desired any
			if err := json.Unmarshal([]byte(test.live), &live); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(test.desired), &desired); err != nil {
				t.Fatal(err)
			}
			if got := holds(live, desired); got != test.same {
				t.Errorf("the same: %v, want %v", got, test.same)
			}
		})
	}
}
