/** Where a source or a destination can be seen. Pure. */

/** "s3://bucket/prefix" → the S3 console's page of it; null for anything else. */
export function s3Console(source) {
  const found = /^s3:\/\/([^/]+)\/?(.*)$/s.exec(source ?? "");
  if (!found) return null;
  const page = new URL(`https://s3.console.aws.amazon.com/s3/buckets/${encodeURIComponent(found[1])}`);
  if (found[2]) page.searchParams.set("prefix", found[2]);
  return page.href;
}

/** A web address, or null: nothing else may become a link. Of `other`'s host, if that is given. */
export function web(address, other) {
  try {
    const { protocol, href, host, username, password } = new URL(address);
    if (!["https:", "http:"].includes(protocol) || username || password) return null;
    return other && host !== new URL(other).host ? null : href;
  } catch {
    return null;
  }
}
