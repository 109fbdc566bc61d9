/** Making a formatter takes a hundred times as long as using it. */
const formats = new Map<string, Formats>();

interface Formats {
  readonly text: Intl.DateTimeFormat;
  readonly zone: Intl.DateTimeFormat;
}

function formatsOf(zone: string): Formats {
  let known = formats.get(zone);
  if (known === undefined) {
    known = {
      // This locale spells dates as 2026-11-22.
      text: new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }),
      zone: new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'short' }),
    };
    formats.set(zone, known);
  }
  return known;
}

/**
 * Fills in every instant of a page in one zone, with UTC as its title. The zone is the configured one; assets/desk.js replaces it
 * by the browser's own.
 */
export function inZone(page: string, zone: string): string {
  const { text, zone: named } = formatsOf(zone);
  return page.replaceAll(/<time datetime="([^"]+)"><\/time>/g, (_, iso: string) => {
    const at = Date.parse(iso);
    if (Number.isNaN(at)) return iso;
    const name = named.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? zone;
    const utc = `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
    return `<time datetime="${iso}" title="${utc}">${text.format(at)} <span class="zone">${name}</span></time>`;
  });
}
