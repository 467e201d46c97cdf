-- Sends the requests of the file that BENCH_REQUESTS names, in turn, and reports one line of JSON.
-- A line of the file is method, path, body or "-", and headers as name and value, all separated by tabs.
local requests = {}
local current = 0

function init()
  for line in io.lines(os.getenv("BENCH_REQUESTS")) do
    local fields = {}
    for field in line:gmatch("[^\t]+") do
      fields[#fields + 1] = field
    end
    local headers = {}
    for index = 4, #fields, 2 do
      headers[fields[index]] = fields[index + 1]
    end
    requests[#requests + 1] = wrk.format(fields[1], fields[2], headers, fields[3] ~= "-" and fields[3] or nil)
  end
end

function request()
  current = current % #requests + 1
  return requests[current]
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.bytes, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
