package redhat

// document is a CSAF document of the profile VEX (CSAF 2.0, sections 3 and
// 4.5), as far as it is read here.
type document struct {
	Document struct {
		Title     string `json:"title"`
		Aggregate struct {
			Text string `json:"text"`
		} `json:"aggregate_severity"`
		Tracking struct {
			ID      string `json:"id"`
			Status  string `json:"status"`
			Current string `json:"current_release_date"`
		} `json:"tracking"`
	} `json:"document"`
	Tree struct {
		Branches      []branch  `json:"branches"`
		Products      []product `json:"full_product_names"`
		Relationships []struct {
			Full struct {
				ID string `json:"product_id"`
			} `json:"full_product_name"`
			Component string `json:"product_reference"`
			Of        string `json:"relates_to_product_reference"`
		} `json:"relationships"`
	} `json:"product_tree"`
	Vulnerabilities []vulnerability `json:"vulnerabilities"`
}

type branch struct {
	Branches []branch `json:"branches"`
	Product  *product `json:"product"`
}

type product struct {
	ID     string `json:"product_id"`
	Helper struct {
		CPE  string `json:"cpe"`
		PURL string `json:"purl"`
	} `json:"product_identification_helper"`
}

type vulnerability struct {
	CVE   string `json:"cve"`
	Title string `json:"title"`
	CWE   struct {
		ID string `json:"id"`
	} `json:"cwe"`
	Notes []struct {
		Category string `json:"category"`
		Title    string `json:"title"`
		Text     string `json:"text"`
	} `json:"notes"`
	Released string `json:"release_date"`
	Status   struct {
		Fixed         []string `json:"fixed"`
		Affected      []string `json:"known_affected"`
		NotAffected   []string `json:"known_not_affected"`
		Investigation []string `json:"under_investigation"`
	} `json:"product_status"`
	Remediations []struct {
		Category string   `json:"category"`
		Date     string   `json:"date"`
		Details  string   `json:"details"`
		URL      string   `json:"url"`
		Products []string `json:"product_ids"`
	} `json:"remediations"`
	Flags []struct {
		Label    string   `json:"label"`
		Products []string `json:"product_ids"`
	} `json:"flags"`
	Threats []struct {
		Category string   `json:"category"`
		Details  string   `json:"details"`
		Products []string `json:"product_ids"`
	} `json:"threats"`
	Scores []struct {
		V2 *score `json:"cvss_v2"`
		V3 *score `json:"cvss_v3"`
		V4 *score `json:"cvss_v4"`
	} `json:"scores"`
	References []struct {
		Summary string `json:"summary"`
		URL     string `json:"url"`
	} `json:"references"`
}

type score struct {
	Version string  `json:"version"`
	Vector  string  `json:"vectorString"`
	Base    float64 `json:"baseScore"`
}
