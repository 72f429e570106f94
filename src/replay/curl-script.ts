import { type CallName, callEntry, restOf } from '../../schemas/calls.ts';
import { callOf, type Step } from './scenario.ts';

const HEAD = `#!/bin/sh
# A trace of vfio-host as a shell script. It needs curl and a running vfio-host.
# usage: sh FILE [URL], with RIG set to a name of your own to keep it apart from others
set -eu
URL=\${1:-http://127.0.0.1:8080}
RIG=\${RIG:-trace-$$}

# One call: method, path, and a body where it has one. Prints the answer on a line.
call() {
  if [ $# -gt 2 ]; then set -- "$1" "$2" -H 'content-type: application/json' -d "$3"; fi
  method=$1 path=$2
  shift 2
  curl -sS -X "$method" -H "x-rig: $RIG" "$@" "$URL$path"
  echo
}

# A call that waits, under a name: it is not waited for. finish NAME waits.
begin() {
  name=$1
  shift
  answer=$(curl -sS -X "$1" -H "x-rig: $RIG" -H 'prefer: respond-async' \\
    -H 'content-type: application/json' -d "$3" "$URL$2")
  echo "$answer"
  eval "operation_$name=$(echo "$answer" | sed -n 's/.*"operation":"\\([a-z0-9]*\\)".*/\\1/p')"
}

finish() {
  eval "operation=\\$operation_$1"
  curl -sS -H "x-rig: $RIG" "$URL/v1/operations/$operation?wait=1&timeoutMs=60000"
  echo
}

`;

/** A trace as a script for sh and curl that makes the same calls against a running service, in pieces. */
export function* curlPieces({
  kernel,
  steps,
}: {
  kernel: string;
  steps: Iterable<Step>;
}): Generator<string, void> {
  yield `${HEAD}call POST /v1/reset ${quote(JSON.stringify({ kernel }))}\n`;
  for (const step of steps) yield `${line(step)}\n`;
}

function line(step: Step): string {
  if (step.call === 'await' && step.timeoutMs !== undefined) {
    return `call POST /v1/sleep ${quote(JSON.stringify({ milliseconds: step.timeoutMs }))}`;
  }
  if (step.call === 'await') return `finish ${step.of}`;
  const { call, ...args } = callOf(step);
  const name = call as CallName;
  const { method, url } = restOf(name);
  const { on: target } = callEntry(name);
  let path = url;
  if (target !== 'host') {
    path = url.replace(`:${target}`, encodeURIComponent(String(args[target])));
    delete args[target];
  }
  const body = JSON.stringify(args);
  if (method === 'POST') {
    const begins = step.async === undefined ? 'call' : `begin ${step.async}`;
    return `${begins} ${method} ${path} ${quote(body)}`;
  }
  const query = new URLSearchParams(args as Record<string, string>);
  const whole = query.size > 0 ? quote(`${path}?${query}`) : path;
  return step.async === undefined ? `call ${method} ${whole}` : `begin ${step.async} ${method} ${whole} '{}'`;
}

/** A word for sh, whatever is in it. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
