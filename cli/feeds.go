package cli

import (
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/alpine"
	"sekisho/scan/advisory/feed/amazon"
	"sekisho/scan/advisory/feed/arch"
	"sekisho/scan/advisory/feed/azurelinux"
	"sekisho/scan/advisory/feed/debian"
	"sekisho/scan/advisory/feed/epss"
	"sekisho/scan/advisory/feed/govulndb"
	"sekisho/scan/advisory/feed/jvn"
	"sekisho/scan/advisory/feed/kev"
	"sekisho/scan/advisory/feed/kubernetes"
	"sekisho/scan/advisory/feed/nodejs"
	"sekisho/scan/advisory/feed/nvd"
	"sekisho/scan/advisory/feed/oracle"
	"sekisho/scan/advisory/feed/osv"
	"sekisho/scan/advisory/feed/photon"
	"sekisho/scan/advisory/feed/redhat"
	"sekisho/scan/advisory/feed/suse"
	"sekisho/scan/advisory/feed/vulnrichment"
	"sekisho/scan/advisory/feed/wolfi"
)

// feeds are all sources of advisories that the program knows.
func feeds() []advisory.Feed {
	return append(osv.Feeds(),
		debian.New(), alpine.New(), wolfi.New(), wolfi.NewChainguard(),
		redhat.Feed{}, oracle.Feed{}, amazon.Feed{}, suse.Feed{}, photon.Feed{}, azurelinux.Feed{}, arch.New(),
		govulndb.New(), kubernetes.New(), nodejs.New(),
		nvd.Feed{}, vulnrichment.Feed{}, kev.Feed{}, epss.Feed{}, jvn.Feed{})
}
