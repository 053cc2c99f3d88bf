package advisory

// How ecosystems are spelled. Languages have no release; what OSV.dev writes
// after their name ("Packagist:https://packages.drupal.org/8") is dropped. A
// distribution's records are kept under group ":" release, where release is
// what a matcher has from os-release(5):
//
//	Debian:12          VERSION_ID; "Debian:sid" and "Debian:14" for what has none yet
//	Ubuntu:22.04       VERSION_ID, never ":LTS". Statements about Ubuntu Pro are
//	                   records of the release with Repositories ["pro"]: they are
//	                   meant for everyone, but the fix needs a subscription.
//	                   Those with "fips", "fips-updates", "fips-preview",
//	                   "realtime" or "bluefield" are about builds of their own.
//	Alpine:3.20        the first two numbers of VERSION_ID, no "v"; "Alpine:edge"
//	AlmaLinux:9        the first number of VERSION_ID; so "Rocky Linux:9"
//	SUSE:15.5          VERSION_ID of SLES and SLED; their modules and long-term
//	                   support are the same release. SLE Micro is "SUSE:Micro 5.5"
//	openSUSE:15.6      Leap; "openSUSE:tumbleweed"; "openSUSE:Micro 5.5"
//	openEuler:22.03-LTS-SP4   VERSION "22.03 (LTS-SP4)"
//	Mageia:9  Alpaquita:23  Alpaquita:stream
//	Wolfi  Chainguard  without a release
