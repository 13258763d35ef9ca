// A server that speaks as S3 does: npm's s3rver. It ends with whoever holds its input.
// s3.mjs FOLDER_OF_NPM PORT DIRECTORY BUCKET [PUT_MS]: a PUT is answered so much later.
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const [folder, port, directory, bucket, late] = process.argv.slice(2);
const S3rver = createRequire(`${folder}/`)('s3rver');
const server = new S3rver({
  address: '127.0.0.1',
  port: Number(port),
  directory,
  silent: true,
  configureBuckets: [{ name: bucket }],
});
if (late) {
  server.middleware.unshift(async (context, next) => {
    await next();
    if (context.method === 'PUT') await new Promise((after) => setTimeout(after, Number(late)));
  });
}

// S3 shows an object whole as soon as its PUT is answered, and nothing of a PUT that broke
// off. s3rver answers when it has read the body, writes below the object's name, and ends
// when a DELETE takes the folder away meanwhile.
const store = server.store;
const whole = async (content, path, beside) => {
  const unfinished = join(directory, `.${randomUUID()}`);
  const md5 = createHash('md5');
  let size = 0;
  const seen = async function* (source) {
    for await (const chunk of source) {
      md5.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  try {
    const source = Buffer.isBuffer(content) ? [content] : content;
    await pipeline(source, seen, createWriteStream(unfinished));
    const digest = md5.digest('hex');
    for (;;) {
      try {
        await mkdir(dirname(path), { recursive: true });
        await beside(digest);
        await rename(unfinished, path);
        return { size, md5: digest };
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
      }
    }
  } finally {
    await rm(unfinished, { force: true });
  }
};
store.putObject = ({ bucket, key, content, metadata }) =>
  whole(content, store.getResourcePath(bucket, key, 'object'), (md5) =>
    store.putMetadata(bucket, key, metadata, md5),
  );
store.putPart = (bucket, uploadId, partNumber, content) => {
  const uploads = store.getResourcePath(bucket, undefined, 'uploads');
  const path = join(uploads, uploadId, `${partNumber}`);
  return whole(content, path, (md5) => writeFile(`${path}.md5`, md5));
};

await server.run();
process.stdin.resume().on('end', () => process.exit(0));
