// Package foreign lets clients that nobody here wrote work against the Jenkins double: python-jenkins, as Debian packages it, and
// gojenkins' own typed calls over its own transport. They were written for real Jenkins, so whatever they trip over is a mistake of the
// double, or a known one of theirs, which is then asserted as what it is.
//
// It must not use pkg/jenkins: two clients of one mind prove nothing. Start reading in python_test.go.
package foreign
