/** Members that hold secrets, whatever their value. */
const SECRET = /token|key|secret|password/i;
const ADDRESS = /^([a-z+]+:\/\/)(?:[^@/]*@)?([^/?#]*)/i;

/**
 * Settings that may be shown to others. A secret is shown only as set. An address shows only protocol and host, because the rest
 * may hold a name, a password or a webhook's secret.
 */
export function shownSettings(settings: unknown, name = ''): unknown {
  if (Array.isArray(settings)) return settings.map((one: unknown) => shownSettings(one, name));
  if (typeof settings === 'object' && settings !== null) {
    return Object.fromEntries(
      Object.entries(settings).map(([member, value]) => [member, shownSettings(value, member)]),
    );
  }
  if (typeof settings !== 'string') return settings;
  if (SECRET.test(name)) return '(set)';
  const [, protocol, host] = ADDRESS.exec(settings) ?? [];
  return protocol === undefined ? settings : `${protocol}${host ?? ''}`;
}
