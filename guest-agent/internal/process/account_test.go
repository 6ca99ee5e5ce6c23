package process

import (
	"reflect"
	"testing"
)

const (
	testPasswd = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:1000:1001:Web:/home/web:/bin/sh\nbad:x:no:1:::\n"
	testGroup  = "root:x:0:\nweb:x:1001:web\nlogs:x:4:other,web\nnear:x:5:webb\nbad:x:no:web\n"
)

func TestResolveAccount(t *testing.T) {
	web := &account{name: "web", uid: 1000, gid: 1001, groups: []uint32{1001, 4}, home: "/home/web"}
	for user, want := range map[string]*account{
		"root": {name: "root", groups: []uint32{0}, home: "/root"},
		"web":  web,
		"1000": web,
		"77":   {name: "77", uid: 77, gid: 77, home: "/"},
		// With a group of its own it has no other.
		"1000:1000": {name: "web", uid: 1000, gid: 1000, groups: []uint32{1000}, home: "/home/web"},
		"1000:logs": {name: "web", uid: 1000, gid: 4, groups: []uint32{4}, home: "/home/web"},
		"web:0":     {name: "web", uid: 1000, gid: 0, groups: []uint32{0}, home: "/home/web"},
		"web:web":   {name: "web", uid: 1000, gid: 1001, groups: []uint32{1001}, home: "/home/web"},
		"77:78":     {name: "77", uid: 77, gid: 78, groups: []uint32{78}, home: "/"},
		"root:root": {name: "root", groups: []uint32{0}, home: "/root"},
	} {
		got, err := resolveAccount(user, testPasswd, testGroup)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", user, got, err, want)
		}
	}
	for _, user := range []string{"nobody", "bad", "-1", "4294967295", "99999999999", "web:x", "web:bad", "web:", ":0", ":",
		"web:-1", "web:4294967295", "1000:1000:1000", " web", "web :0"} {
		if got, err := resolveAccount(user, testPasswd, testGroup); err == nil {
			t.Errorf("%s: %+v, want an error", user, got)
		}
	}
}

func TestRootNeedsNoPasswdFile(t *testing.T) {
	for _, user := range []string{"root", "0", "root:root", "0:0"} {
		if got, err := resolveAccount(user, "", ""); err != nil || got.uid != 0 || got.home != "/root" {
			t.Errorf("%s: %+v, %v", user, got, err)
		}
	}
}
