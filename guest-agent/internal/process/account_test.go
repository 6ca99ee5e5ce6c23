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
	} {
		got, err := resolveAccount(user, testPasswd, testGroup)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", user, got, err, want)
		}
	}
	for _, user := range []string{"nobody", "bad", "-1", "4294967295", "99999999999", "web:x"} {
		if got, err := resolveAccount(user, testPasswd, testGroup); err == nil {
			t.Errorf("%s: %+v, want an error", user, got)
		}
	}
}

func TestRootNeedsNoPasswdFile(t *testing.T) {
	for _, user := range []string{"root", "0"} {
		if got, err := resolveAccount(user, "", ""); err != nil || got.uid != 0 || got.home != "/root" {
			t.Errorf("%s: %+v, %v", user, got, err)
		}
	}
}
