package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// ticksPerSecond is the unit in which Linux tells the time of a CPU.
	ticksPerSecond = 100
	// sampleEvery is how often a meter looks at memory: seldom enough to cost
	// little, for the system walks through a process's pages to answer.
	sampleEvery = 40 * time.Millisecond
)

// A meter measures processes from the moment it is made: the CPU time that each
// uses and the most memory that each holds.
type meter struct {
	pids   []int
	before []float64 // CPU seconds
	done   chan struct{}
	over   sync.WaitGroup
	peak   []float64 // MiB
	err    error
}

func newMeter(pids ...int) *meter {
	m := &meter{pids: pids, before: make([]float64, len(pids)), peak: make([]float64, len(pids)), done: make(chan struct{})}
	for i, pid := range pids {
		seconds, err := cpuSeconds(pid)
		m.before[i], m.err = seconds, errors.Join(m.err, err)
	}
	m.over.Go(m.sample)
	return m
}

func (m *meter) sample() {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		for i, pid := range m.pids {
			if mib, err := proportionalMiB(pid); err == nil {
				m.peak[i] = max(m.peak[i], mib)
			}
		}
		select {
		case <-ticker.C:
		case <-m.done:
			return
		}
	}
}

// read ends the measurement: the CPU seconds of all processes together, and the
// most memory of each.
func (m *meter) read() (cpu float64, peakMiB []float64, err error) {
	for i, pid := range m.pids {
		seconds, err := cpuSeconds(pid)
		m.err = errors.Join(m.err, err)
		cpu += seconds - m.before[i]
	}
	close(m.done)
	m.over.Wait()
	return cpu, m.peak, m.err
}

// cpuSeconds is the time that a process has used, in user and system mode, as
// Linux tells it.
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, which may hold anything, ends with the last parenthesis.
	words := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(words) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d words", pid, len(words))
	}
	user, err := strconv.ParseFloat(words[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(words[12], 64)
	return (user + system) / ticksPerSecond, err
}

// proportionalMiB is the memory of a process, with what it shares counted in
// parts (PSS), as Linux tells it.
func proportionalMiB(pid int) (float64, error) { return rollup(pid, "Pss") }

// mappedMiB is the part of it that are pages of files, such as the database:
// the system takes them back when it needs them.
func mappedMiB(pid int) (float64, error) { return rollup(pid, "Pss_File") }

// rollup is one sum over all that a process has mapped.
func rollup(pid int, name string) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s for process %d", name, pid)
}
