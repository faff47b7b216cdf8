# tally.awk: prints how many tests of a `go test -json` passed, failed and were skipped: "PASSED FAILED SKIPPED".
# What is counted is what checks something: of a test with subtests these, of a Ginkgo suite its specs.
function field(name,    at) {
	if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
	at = RSTART + length(name) + 4
	return substr($0, at, RSTART + RLENGTH - at - 1)
}
function specs(word) { return match(line, "[0-9]+ " word) ? substr(line, RSTART) + 0 : 0 }

{
	action = field("Action"); test = field("Test")
	if (test == "") next
	key = field("Package") " " test
}
action == "pass" || action == "fail" || action == "skip" {
	result[key] = action
	for (parent = key; match(parent, "/[^/]*$") && RSTART > index(parent, " ");) {
		parent = substr(parent, 1, RSTART - 1)
		divided[parent] = 1
		if (action == "fail") told[parent] = 1
	}
}
action == "output" && /(SUCCESS!|FAIL!).* Passed.* Failed/ {
	line = $0
	gsub("\\\\u001b\\[[0-9;]*m", "", line)
	if (line !~ "\"Output\":\"(SUCCESS!|FAIL!) ?-") next # a test that talks of such a line
	divided[key] = 1
	passed += specs("Passed"); skipped += specs("Skipped") + specs("Pending")
	if (specs("Failed")) { failed += specs("Failed"); told[key] = 1 }
}
END {
	for (key in result) {
		if (result[key] == "fail" && !told[key]) failed++
		if (result[key] == "pass" && !divided[key]) passed++
		if (result[key] == "skip" && !divided[key]) skipped++
	}
	print passed + 0, failed + 0, skipped + 0
}
