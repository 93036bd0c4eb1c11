package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

type importCommand struct {
	Hub   string `help:"Address of the running hub." default:"http://${listen}" placeholder:"URL"`
	Store string `help:"The store of a stock file." placeholder:"ID"`
	Kind  string `arg:"" enum:"items,stores,prices,taxes,promotions,stock" help:"items, stores, prices, taxes, promotions or stock."`
	File  string `arg:"" help:"CSV with a header, or NDJSON (.ndjson, .jsonl)." type:"existingfile"`
}

// Run sends the file and prints the hub's report.
func (c *importCommand) Run(ctx context.Context, out io.Writer) (err error) {
	if (c.Kind == "stock") != (c.Store != "") {
		return errors.Join(errUsage, errors.New("--store goes with stock, and stock needs it"))
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	address := strings.TrimRight(c.Hub, "/") + "/v1/" + c.Kind
	if c.Store != "" {
		address += "?store=" + url.QueryEscape(c.Store)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, io.NopCloser(f))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/csv")
	if ext := strings.ToLower(filepath.Ext(c.File)); ext == ".ndjson" || ext == ".jsonl" {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	// A redirection would be followed without the file.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no hub answers at %s: %w. Is it running? Another address: --hub", c.Hub, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(out, resp.Body); err != nil {
		return err
	}
	fmt.Fprintln(out)
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return nil
	}
	if to := resp.Header.Get("Location"); to != "" {
		return fmt.Errorf("%s answered %s and names %s. Nothing was imported. Give the hub's own address with --hub", c.Hub, resp.Status, to)
	}
	return fmt.Errorf("the hub answered %s", resp.Status)
}
