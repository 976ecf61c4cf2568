;;; Debugs a build with dap-mode, without a screen.  -*- lexical-binding: t -*-
;; A breakpoint, a step, a variable and the end.
;; The environment has the directory of the source in DIR. Prints what happens, one line each.
(require 'dap-mode)
(require 'dap-ui)

(setq dap-auto-configure-features nil
      dap-auto-show-output nil
      dap-print-io (getenv "DAP_PRINT_IO")
      lsp-session-file (expand-file-name "session" (getenv "DIR"))
      dap-breakpoints-file (expand-file-name "breakpoints" (getenv "DIR")))

;; Every buffer of a source belongs to a workspace of lsp-mode, which this test does not need.
(dap-register-debug-provider
 "buildlocal"
 (lambda (conf)
   (dap--put-if-absent conf :dap-server-path '("buildlocal" "dap"))))

(defvar stops 0)
(defvar over nil)

(defun say (format &rest args)
  (princ (concat (apply #'format format args) "\n")))

;; Makes a request and calls next with the body of the answer.
(defun ask (session command arguments next)
  (dap--send-message (dap--make-request command arguments)
                     (lambda (answer) (funcall next (gethash "body" answer)))
                     session))

(add-hook
 'dap-stack-frame-changed-hook
 (lambda (session)
   (let ((frame (dap--debug-session-active-frame session)))
     (when frame
       (setq stops (1+ stops))
       (say "stopped at line %s: %s" (gethash "line" frame) (gethash "name" frame))
       (pcase stops
         (1 (dap-next session))
         (2 (ask session "evaluate" (list :expression "$STAGE" :context "hover" :frameId (gethash "id" frame))
                 (lambda (body)
                   (say "STAGE is %s" (gethash "result" body))
                   (dap-continue session (dap--debug-session-thread-id session))))))))))

;; The hook runs again when the session is deleted.
(add-hook 'dap-terminated-hook (lambda (_) (unless over (say "terminated")) (setq over t)))

(let ((file (expand-file-name "buildspec.yml" (getenv "DIR"))))
  (find-file file)
  (goto-char (point-min))
  (forward-line 7)
  (dap-breakpoint-add)
  (dap-debug (list :type "buildlocal" :request "launch" :name "Build"
                   :cwd (getenv "DIR") :program "buildspec.yml" :engine "host"))
  (with-timeout (60 (say "no end"))
    (while (not over)
      (accept-process-output nil 0.1)))
  (dap-delete-all-sessions))
