#!/bin/sh
# One line that says who answers. A pod's host name is the pod's name; node and address come from the pod's own fields
# where its manifest passes them on (env valueFrom fieldRef).
name=${POD_NAME:-$(hostname)}
address=${POD_IP:-$(hostname -i 2>/dev/null)}
printf 'Content-Type: text/plain\r\n\r\n'
printf 'pod=%s node=%s address=%s\n' "$name" "${NODE_NAME:-unknown}" "${address%% *}"
