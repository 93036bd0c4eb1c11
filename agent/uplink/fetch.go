package uplink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	snapshotBytesMax = 512 << 20
	// snapshotIdleMax is how long a fetch may stand still; how long it takes as
	// a whole is not bounded, because it goes on where it was.
	snapshotIdleMax    = 30 * time.Second
	snapshotHeaderMax  = 60 * time.Second // the hub may have to build it first
	snapshotRetriesMax = 4
	snapshotKeep       = 7 * 24 * time.Hour
)

// newTransport carries requests to the hub. It follows no proxy of the
// environment, since hub addresses are configured.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = newReacher().DialContext
	t.ResponseHeaderTimeout = snapshotHeaderMax
	return t
}

// newAskClient makes the client that asks for the broker. Each request has a
// connection of its own: one from before an outage may never answer again.
func newAskClient() *http.Client {
	t := newTransport()
	t.DisableKeepAlives = true
	return &http.Client{Transport: t, Timeout: connectTimeout}
}

// snapshotFile is a snapshot on its way, as it is kept on the disk: the body as
// far as it came, and beside it what the hub said of the whole.
type snapshotFile struct {
	path string // without its extension

	Feed   protocol.FeedID `json:"feed"`
	ETag   string          `json:"etag"`
	Epoch  uint64          `json:"epoch"`
	Offset uint64          `json:"offset"`
	SHA256 string          `json:"sha256"`
}

const (
	snapshotFolder = "snapshots"
	bodyExtension  = ".part"
	headExtension  = ".json"
)

// snapshotPath names the files of a feed. File systems that know no case keep
// two feeds apart by the sum.
func (u *Uplink) snapshotPath(feed protocol.FeedID) string {
	sum := sha256.Sum256([]byte(feed))
	return filepath.Join(u.o.Dir, snapshotFolder, strings.ReplaceAll(string(feed), "/", ".")+"-"+hex.EncodeToString(sum[:4]))
}

func (f *snapshotFile) snapshot() Snapshot {
	return Snapshot{FeedPos: protocol.FeedPos{Feed: f.Feed, Epoch: f.Epoch, Offset: f.Offset}, Sum: f.SHA256}
}

// readSnapshotFile reads what is kept of a feed, and how long its body is.
func readSnapshotFile(path string) (f snapshotFile, size int64, err error) {
	b, err := os.ReadFile(path + headExtension)
	if err != nil {
		return f, 0, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, 0, err
	}
	f.path = path
	info, err := os.Stat(path + bodyExtension)
	if err != nil {
		return f, 0, err
	}
	return f, info.Size(), nil
}

func (u *Uplink) removeSnapshot(feed protocol.FeedID) error {
	return removeSnapshotFiles(u.snapshotPath(feed))
}

func removeSnapshotFiles(path string) error {
	var errs []error
	if holdsKeys(path) {
		errs = append(errs, overwrite(path+bodyExtension))
	}
	for _, extension := range []string{headExtension, bodyExtension} {
		if err := os.Remove(path + extension); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// download brings the whole snapshot of a feed onto the disk and checks its
// sum. It goes on where an earlier try, or an earlier process, was.
func (u *Uplink) download(ctx context.Context, feed protocol.FeedID) (Snapshot, io.ReadCloser, error) {
	path := u.snapshotPath(feed)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Snapshot{}, nil, err
	}
	failures, most := 0, int64(0)
	for {
		size, err := u.resume(ctx, feed, path)
		if err == nil {
			break
		}
		if protocol.CodeOf(err) == protocol.DiskFull {
			// Sales need the room more.
			return Snapshot{}, nil, errors.Join(err, removeSnapshotFiles(path))
		}
		if failures++; size > most {
			failures, most = 0, size
		}
		if failures > snapshotRetriesMax || ctx.Err() != nil || errors.Is(err, errRefused) {
			return Snapshot{}, nil, err
		}
	}
	f, _, err := readSnapshotFile(path)
	if err != nil {
		return Snapshot{}, nil, err
	}
	body, err := f.open()
	if err != nil {
		return Snapshot{}, nil, errors.Join(err, removeSnapshotFiles(path))
	}
	return f.snapshot(), body, nil
}

var errDamaged = errors.New("it arrived damaged")

// open checks the body as a whole before anybody reads of it.
func (f *snapshotFile) open() (io.ReadCloser, error) {
	body, err := os.Open(f.path + bodyExtension)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, body)
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		err = errDamaged
	}
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return body, nil
}

// errRefused is the answer of a hub that has no such snapshot.
var errRefused = errors.New("hub answered")

// resume asks for what is missing of a body, and returns how much is here now.
// Without an error that is all.
func (u *Uplink) resume(ctx context.Context, feed protocol.FeedID, path string) (size int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, size, err := readSnapshotFile(path)
	if err != nil || f.Feed != feed || f.ETag == "" {
		f, size = snapshotFile{path: path}, 0
	}
	resp, err := u.get(ctx, feed, f.ETag, size)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		size = 0
		if err := f.begin(feed, resp.Header); err != nil {
			return 0, err
		}
	case http.StatusPartialContent:
		if resp.Header.Get("ETag") != f.ETag || !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", size)) {
			return 0, errors.Join(errDamaged, removeSnapshotFiles(path))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", size) {
			return 0, nil // all of it was here
		}
		return 0, errors.Join(errDamaged, removeSnapshotFiles(path))
	default:
		return 0, fmt.Errorf("%w %s", errRefused, resp.Status)
	}
	n, err := f.append(size, &patientReader{Reader: resp.Body, cancel: cancel})
	return size + n, err
}

func (u *Uplink) get(ctx context.Context, feed protocol.FeedID, etag string, from int64) (*http.Response, error) {
	client := retryablehttp.NewClient()
	client.Logger, client.RetryMax, client.HTTPClient = nil, snapshotRetriesMax, &http.Client{Transport: u.fetching}
	client.RetryWaitMin, client.RetryWaitMax = 200*time.Millisecond, 5*time.Second
	address, err := url.JoinPath(u.o.HubURL, "v1/snapshots", string(feed))
	if err != nil {
		return nil, err
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		req.Header.Set("If-Range", etag)
	}
	return client.Do(req)
}

// begin starts a body anew. What the hub says of it is written first, so that a
// body never stands beside the words of another.
func (f *snapshotFile) begin(feed protocol.FeedID, h http.Header) (err error) {
	if err := removeSnapshotFiles(f.path); err != nil {
		return err
	}
	f.Feed, f.ETag, f.SHA256 = feed, h.Get("ETag"), h.Get("Counterpart-SHA256")
	if f.Epoch, err = strconv.ParseUint(h.Get("Counterpart-Epoch"), 10, 64); err != nil {
		return err
	}
	if f.Offset, err = strconv.ParseUint(h.Get("Counterpart-Offset"), 10, 64); err != nil {
		return err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return diskError(os.WriteFile(f.path+headExtension, b, 0o600))
}

// append writes what comes behind the first bytes of the body.
func (f *snapshotFile) append(size int64, from io.Reader) (n int64, err error) {
	file, err := os.OpenFile(f.path+bodyExtension, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, diskError(err)
	}
	defer func() { err = errors.Join(err, diskError(file.Close())) }()
	if err := file.Truncate(size); err != nil {
		return 0, diskError(err)
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		return 0, err
	}
	n, err = io.Copy(file, io.LimitReader(from, snapshotBytesMax-size+1))
	if err == nil && size+n > snapshotBytesMax {
		err = fmt.Errorf("%w more than %d bytes", errRefused, snapshotBytesMax)
	}
	return n, diskError(err)
}

// windowsDiskFull is what Windows calls a full disk.
const windowsDiskFull = syscall.Errno(112)

// diskError names a full disk as such, because the feed is not to blame.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || runtime.GOOS == "windows" && errors.Is(err, windowsDiskFull) {
		return &protocol.Error{Code: protocol.DiskFull, Err: err, Message: "There is no room for a snapshot. Selling goes on. Make room on the disk."}
	}
	return err
}

// patientReader gives up a line that stands still, and no other.
type patientReader struct {
	io.Reader
	cancel context.CancelFunc
	timer  *time.Timer
}

func (r *patientReader) Read(b []byte) (int, error) {
	if r.timer == nil {
		r.timer = time.AfterFunc(snapshotIdleMax, r.cancel)
	} else {
		r.timer.Reset(snapshotIdleMax)
	}
	n, err := r.Reader.Read(b)
	r.timer.Stop()
	return n, err
}

// cleanSnapshots removes what an earlier process left and nobody can use any
// more: files of feeds that are no longer followed, that are applied, that are
// old, or that hold keys of members, and loads whose file is gone.
func (u *Uplink) cleanSnapshots(ctx context.Context) error {
	var follow []ledger.Cursor
	shadows := map[protocol.FeedID]ledger.Shadow{}
	err := u.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		if follow, err = Followed(r, u.o.Origin.Store); err != nil {
			return err
		}
		for _, c := range follow {
			if shadows[c.Feed], err = ledger.ReadShadow(r, c.Feed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	kept := map[string]snapshotFile{}
	for _, c := range follow {
		path := u.snapshotPath(c.Feed)
		f, _, err := readSnapshotFile(path)
		if err == nil && f.Feed == c.Feed && !holdsKeys(path) && !(c.Epoch == f.Epoch && c.Offset >= f.Offset && f.Offset > 0) && !stale(path+bodyExtension) {
			kept[path] = f
		}
		if s := shadows[c.Feed]; s.Sum != "" && (kept[path].SHA256 != s.Sum) {
			err := u.o.Driver.Update(ctx, func(tx ledger.Tx) error { return ledger.DropShadow(tx, c.Feed) })
			if err != nil {
				return err
			}
		}
	}
	return u.removeExcept(kept)
}

func stale(path string) bool {
	info, err := os.Stat(path)
	return err != nil || time.Since(info.ModTime()) > snapshotKeep
}

func (u *Uplink) removeExcept(kept map[string]snapshotFile) error {
	dir := filepath.Join(u.o.Dir, snapshotFolder)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		extension := filepath.Ext(path)
		if _, ok := kept[strings.TrimSuffix(path, extension)]; !ok && slices.Contains([]string{bodyExtension, headExtension}, extension) {
			if holdsKeys(path) {
				errs = append(errs, overwrite(path))
			}
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(append(errs, err)...)
}
