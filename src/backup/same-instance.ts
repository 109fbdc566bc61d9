import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };
const LOOPBACK: LookupAddress = { address: '127.0.0.1', family: 4 };
/** Host names that mean every address of the machine. */
const EVERY_ADDRESS = new Set(['0.0.0.0', '::', '*']);

/**
 * Whether two addresses may reach the same program, because they share port and host. All addresses of this machine count as one
 * host. If one of them is not a host and port, only the texts are compared.
 */
export async function isSameInstance(one: string, other: string): Promise<boolean> {
  const [a, b] = [placeOf(one), placeOf(other)];
  if (one === other || a === undefined || b === undefined) return one === other;
  if (a.port !== b.port) return false;
  const [some, others] = await Promise.all([addressesOf(a.host), addressesOf(b.host)]);
  const list = listOf(some);
  return a.host === b.host || others.some((address) => list.check(address.address, familyOf(address)));
}

function placeOf(address: string): { readonly host: string; readonly port: string } | undefined {
  const url = URL.parse(address);
  const port = url === null ? '' : url.port || (DEFAULT_PORTS[url.protocol] ?? '');
  if (url === null || url.hostname === '' || port === '') return undefined;
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase(), port };
}

/** The addresses of a host. A host that means this machine includes `LOOPBACK`; an unknown name has none. */
async function addressesOf(host: string): Promise<readonly LookupAddress[]> {
  if (EVERY_ADDRESS.has(host)) return [LOOPBACK];
  const found = await lookup(host, { all: true }).catch(() => []);
  const own = listOf(Object.values(networkInterfaces()).flatMap((all) => all ?? []));
  own.addSubnet('127.0.0.0', 8, 'ipv4');
  own.addAddress('::1', 'ipv6');
  const isOwn = found.some((one) => EVERY_ADDRESS.has(one.address) || own.check(one.address, familyOf(one)));
  return isOwn ? [LOOPBACK, ...found] : found;
}

/** A BlockList also matches IPv4 addresses that are mapped to IPv6. */
function listOf(addresses: readonly Pick<LookupAddress, 'address'>[]): BlockList {
  const list = new BlockList();
  for (const one of addresses) list.addAddress(one.address, familyOf(one));
  return list;
}

function familyOf({ address }: Pick<LookupAddress, 'address'>): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
