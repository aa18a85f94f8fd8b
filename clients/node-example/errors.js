// Reads the details of an error: why a call failed, which fields are wrong, and when to try again.

/** Returns {code, message, requestId, reason, violations, retrySeconds} of an error of @grpc/grpc-js. */
export function readError(error, definition) {
  const found = { code: error.code, message: error.details, requestId: first(error, "x-request-id") };
  const packed = first(error, "grpc-status-details-bin");
  return packed ? { ...found, ...readStatus(definition["google.rpc.Status"].deserialize(packed), definition) } : found;
}

/** Returns the details of a google.rpc.Status, also of the `error` of one item of a list. */
export function readStatus(status, definition) {
  const found = { message: status.message };
  for (const detail of status.details) {
    const name = detail.type_url.split("/").pop();
    if (!(name in definition)) continue; // of a newer server
    const message = definition[name].deserialize(detail.value);
    if (name === "google.rpc.ErrorInfo") found.reason = message.reason;
    if (name === "google.rpc.BadRequest")
      found.violations = message.field_violations.map(({ field, description }) => `${field} ${description}`);
    if (name === "google.rpc.RetryInfo")
      found.retrySeconds = Number(message.retry_delay.seconds) + message.retry_delay.nanos / 1e9;
  }
  return found;
}

function first(error, key) {
  return error.metadata?.get(key)[0];
}
