package dockerfile

import "sekisho"

type check struct {
	severity sekisho.Severity
	aliases  []string
}

// checks with the numbers of the CIS Docker Benchmark v1.6.0, of Dockle and of
// Trivy. Checks of several ways to err get the number of the way where it is
// found. SKS-DKF-003 and SKS-IMG-026 need a list of approved images and belong
// to policies; SKS-IMG-008 of ENV is SKS-DKF-013 here.
var checks = map[string]check{
	"SKS-DKF-001": {sekisho.Medium, []string{"DKL-DI-0006", "DS-0001"}},
	"SKS-DKF-002": {sekisho.Low, nil},
	"SKS-DKF-004": {sekisho.Low, []string{"CIS-Docker-4.9", "CIS-DI-0009", "DS-0005"}},
	"SKS-DKF-005": {sekisho.High, []string{"CIS-Docker-4.9", "CIS-Docker-4.11", "CIS-DI-0009", "CIS-DI-0011"}},
	"SKS-DKF-006": {sekisho.High, []string{"CIS-Docker-4.11", "CIS-DI-0011"}},
	"SKS-DKF-007": {sekisho.Low, []string{"CIS-Docker-4.7", "CIS-DI-0007", "DS-0017"}},
	"SKS-DKF-008": {sekisho.None, []string{"CIS-Docker-4.3"}},
	"SKS-DKF-009": {sekisho.None, []string{"DKL-DI-0003", "DS-0024"}},
	"SKS-DKF-010": {sekisho.None, nil},
	"SKS-DKF-011": {sekisho.High, []string{"CIS-Docker-4.11", "CIS-DI-0011"}},
	"SKS-DKF-012": {sekisho.Medium, []string{"CIS-Docker-4.11", "CIS-DI-0011"}},
	"SKS-DKF-013": {sekisho.Critical, []string{"CIS-Docker-4.10", "CIS-DI-0010", "DS-0031"}},
	"SKS-DKF-014": {sekisho.High, []string{"CIS-Docker-4.10", "CIS-DI-0010"}},
	"SKS-DKF-015": {sekisho.High, nil},
	"SKS-DKF-016": {sekisho.Medium, nil},
	"SKS-DKF-017": {sekisho.High, []string{"CIS-Docker-4.8", "CIS-DI-0008"}},
	"SKS-DKF-018": {sekisho.High, nil},
	"SKS-DKF-019": {sekisho.Medium, nil},
	"SKS-DKF-020": {sekisho.Medium, []string{"DKL-LI-0003"}},
	"SKS-DKF-021": {sekisho.Low, nil},
	"SKS-DKF-022": {sekisho.Medium, []string{"DS-0030"}},
	"SKS-DKF-023": {sekisho.None, nil},
	"SKS-DKF-024": {sekisho.None, nil},
	"SKS-DKF-025": {sekisho.None, nil},
	"SKS-IMG-001": {sekisho.High, []string{"CIS-Docker-4.1", "CIS-DI-0001", "DS-0002"}},
	"SKS-IMG-002": {sekisho.Low, []string{"CIS-Docker-4.6", "CIS-DI-0006", "DS-0026"}},
	"SKS-IMG-017": {sekisho.Medium, []string{"CIS-Docker-5.7", "DS-0004"}},
	"SKS-IMG-018": {sekisho.Medium, []string{"DKL-DI-0001", "DS-0010"}},
	"SKS-IMG-019": {sekisho.High, []string{"DKL-DI-0002"}},
}

// Checks lists the ids that a Dockerfile can be reported for.
func Checks() []string {
	list := make([]string, 0, len(checks))
	for id := range checks {
		list = append(list, id)
	}
	return list
}
