-- Sends the requests of a file over and over, each with an Idempotency-Key of its own if asked to, and tells what came
-- of them as one line of JSON.
--
-- A line of the file is a method, a path and perhaps a body, with blanks between.

local requests, headers, with_key, sent = {}, {}, false, 0

function init(args)
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    requests[#requests + 1] = { method, path, body ~= "" and body or nil }
  end
  if args[2] ~= "" then headers["Authorization"] = "Bearer " .. args[2] end
  headers["Content-Type"] = "application/json"
  with_key = args[3]
end

function request()
  sent = sent + 1
  local one = requests[(sent - 1) % #requests + 1]
  if with_key ~= "" then headers["Idempotency-Key"] = with_key .. "-" .. sent end
  return wrk.format(one[1], one[2], headers, one[3])
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.4f,"p99_ms":%.4f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
