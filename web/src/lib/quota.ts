// Room on disk as people write it, in gigabytes of 10⁹ bytes.

const GB = 1e9;

export const gigabytes = (bytes: number | null): string => (bytes === null ? '' : String(Number((bytes / GB).toFixed(3))));

export const toBytes = (text: string): number | null => (text.trim() === '' ? null : Math.round(Number(text) * GB));
