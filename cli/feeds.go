package cli

import (
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/azurelinux"
	"sekisho/scan/advisory/feed/debian"
	"sekisho/scan/advisory/feed/epss"
	"sekisho/scan/advisory/feed/kev"
	"sekisho/scan/advisory/feed/oracle"
	"sekisho/scan/advisory/feed/osv"
	"sekisho/scan/advisory/feed/photon"
	"sekisho/scan/advisory/feed/redhat"
	"sekisho/scan/advisory/feed/suse"
)

// feeds are all sources of advisories that the program knows.
func feeds() []advisory.Feed {
	return []advisory.Feed{
		osv.New(), debian.New(), redhat.Feed{}, suse.Feed{}, oracle.Feed{}, photon.Feed{}, azurelinux.Feed{},
		kev.Feed{}, epss.Feed{},
	}
}
