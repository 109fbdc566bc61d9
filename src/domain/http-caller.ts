/** The headers that show which host a caller addressed, and from which page. */
interface CallerHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
}

const LOOPBACK_NAMES = new Set(['localhost']);
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
/** Typed in the address bar, or from a page of this server. */
const OWN_SITES = new Set(['none', 'same-origin']);

/**
 * Why an HTTP request must not be served on a port without keys; undefined if it may. A web page can make a browser send requests
 * to this machine, under a host name that points here, or across sites without a preflight. An agent does neither. It calls an IP
 * address, a name of this machine, or a configured name.
 */
export function foreignCaller(headers: CallerHeaders, names: ReadonlySet<string>): string | undefined {
  const { host, origin, 'sec-fetch-site': site } = headers;
  if (host !== undefined && !isOwn(nameIn(host), names))
    return `the host ${JSON.stringify(host.slice(0, 100))} is not a name of this machine: call it by its IP address, or add the name to allowedHosts`;
  if (origin !== undefined && !isOwnOrigin(origin, host, names))
    return `requests from the web page ${JSON.stringify(origin.slice(0, 100))} are refused: add its host to allowedHosts if it is yours`;
  if (origin === undefined && typeof site === 'string' && !OWN_SITES.has(site))
    return 'requests from a web page of another site are refused';
  return undefined;
}

function isOwn(name: string, names: ReadonlySet<string>): boolean {
  return IPV4.test(name) || name.startsWith('[') || LOOPBACK_NAMES.has(name) || names.has(name);
}

/** A page that this server serves, or one of a configured host. */
function isOwnOrigin(origin: string, host: string | undefined, names: ReadonlySet<string>): boolean {
  const address = /^https?:\/\/(?<address>[^/]+)$/i.exec(origin)?.groups?.['address']?.toLowerCase();
  return address !== undefined && (address === host?.toLowerCase() || names.has(nameIn(address)));
}

/** Without the port, in lower case. */
function nameIn(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
}

/** Host names by which agents may call, for {@link foreignCaller}. */
export function ownNames(machine: string, configured: readonly string[] = []): ReadonlySet<string> {
  return new Set([machine, ...configured].map((name) => nameIn(name)));
}
