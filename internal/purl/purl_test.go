package purl_test

import (
	"testing"

	"sekisho/internal/purl"
)

func TestNew(t *testing.T) {
	for want, got := range map[string]string{
		"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12": purl.New("deb", "debian", "libstdc++6", "12.2.0-14", [2]string{"distro", "debian-12"}, [2]string{"arch", "amd64"}),
		"pkg:npm/%40babel/core@7.0.0":                                         purl.New("npm", "@babel", "core", "7.0.0"),
		"pkg:golang/github.com/gorilla/mux@v1.8.0":                            purl.New("golang", "github.com/gorilla", "mux", "v1.8.0"),
		"pkg:deb/openssl@1:1.1?arch=all":                                      purl.New("deb", "", "openssl", "1:1.1", [2]string{"arch", "all"}, [2]string{"distro", ""}),
		"pkg:maven/org.apache.commons/commons-lang3@3.12.0":                   purl.New("maven", "org.apache.commons", "commons-lang3", "3.12.0"),
		"pkg:generic/x%20y":                                                   purl.New("generic", "", "x y", ""),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
