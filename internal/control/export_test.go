package control

// SendRaw opens a stream of a client and sends bytes as they are.
func SendRaw(c *Client, text []byte) error {
	stream, err := c.session.OpenStream()
	if err != nil {
		return err
	}
	if _, err := stream.Write(text); err != nil {
		return err
	}
	return stream.Close()
}
