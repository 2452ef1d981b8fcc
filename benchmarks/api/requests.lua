-- Walks the requests of a file. Its lines: the method; "Name: value" for each header; an empty line; then a
-- request each: its path, and after a tab its body. Arguments: the file, and how many requests to skip.

local requests, place = {}, 0

function init(arguments)
  local method, headers, body = nil, {}, false
  for line in io.lines(arguments[1]) do
    if not method then
      method = line
    elseif line == "" then
      body = true
    elseif not body then
      local name, value = line:match("^([^:]+): (.*)$")
      headers[name] = value
    else
      local path, content = line:match("^([^\t]+)\t(.*)$")
      requests[#requests + 1] = wrk.format(method, path or line, headers, content)
    end
  end
  place = tonumber(arguments[2]) % #requests
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "bytes": %.0f, "errors": {"connect": %d, "read": %d, "write": %d,' ..
    ' "timeout": %d, "status": %d}, "mean": %.4f, "p50": %.4f, "p90": %.4f, "p99": %.4f, "p999": %.4f, "max": %.4f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, errors.connect, errors.read, errors.write,
    errors.timeout, errors.status, latency.mean / 1e3, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
