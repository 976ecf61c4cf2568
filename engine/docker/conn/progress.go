package conn

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/buildlocal/buildlocal/engine"
)

// ReadProgress reads the stream of a pull or an import to its end, and passes each message
// to report. It returns the error in the stream, since the engine has sent the status 200
// before it could fail.
func ReadProgress(stream io.Reader, name string, report func(engine.Progress)) error {
	decoder := json.NewDecoder(stream)
	for {
		var line struct {
			Status   string `json:"status"`
			ID       string `json:"id"`
			Error    string `json:"error"`
			Progress struct {
				Current int64 `json:"current"`
				Total   int64 `json:"total"`
			} `json:"progressDetail"`
		}
		err := decoder.Decode(&line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if line.Error != "" {
			return errors.New(line.Error)
		}
		report(engine.Progress{
			Image: name, Layer: line.ID, Status: line.Status, Current: line.Progress.Current, Total: line.Progress.Total,
		})
	}
}

// maxHead is how many bytes a Head keeps at most.
const maxHead = 200

// Head is a writer that forwards to To and keeps the beginning of the output, for an error
// message. It must not be read before the writing has ended.
type Head struct {
	To   io.Writer
	Kept []byte
}

// Write forwards p.
func (h *Head) Write(p []byte) (int, error) {
	h.Kept = append(h.Kept, p[:min(len(p), maxHead-len(h.Kept))]...)
	return h.To.Write(p)
}
