package main

// table are the mutants. An edit's old text is production code as it stands; when
// that code changes, the mutant has to change with it.
var table = []mutant{}
