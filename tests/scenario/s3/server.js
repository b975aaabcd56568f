// An S3 server on loopback: s3rver, which takes uploads in parts, with what it
// lacks: signatures of version 4 are checked (by aws4) and bodies are compared
// with the digest that was signed; ListParts (one part a page, so that pages
// are met) and AbortMultipartUpload.
//
//   node server.js FOLDER BUCKET [plain]
//
// plain: without those two requests. Prints its port. The keys are S3RVER and S3RVER.
'use strict';

const aws4 = require('aws4');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const S3rver = require('s3rver');
const router = require('s3rver/lib/routes');
const S3Error = require('s3rver/lib/models/error');

const PAGE = 1;

function uploadFolder(ctx) {
  const folder = path.join(
    ctx.store.getResourcePath(ctx.params.bucket, undefined, 'uploads'),
    path.basename(ctx.query.uploadId),
  );
  if (!fs.existsSync(folder))
    throw new S3Error('NoSuchUpload', 'The specified upload does not exist');
  return folder;
}

// A part is whole when its digest was written.
function partsOf(folder) {
  return fs
    .readdirSync(folder)
    .filter(name => name.endsWith('.md5'))
    .map(name => ({
      PartNumber: parseInt(name, 10),
      ETag: JSON.stringify(fs.readFileSync(path.join(folder, name), 'utf8')),
      Size: fs.statSync(path.join(folder, name.slice(0, -4))).size,
    }))
    .sort((a, b) => a.PartNumber - b.PartNumber);
}

function listParts(ctx) {
  const after = Number(ctx.query['part-number-marker'] || 0);
  const parts = partsOf(uploadFolder(ctx)).filter(p => p.PartNumber > after);
  const page = parts.slice(0, PAGE);

  console.log(`ListParts after ${after}: ${page.length} of ${parts.length}`);
  ctx.body = {
    ListPartsResult: {
      UploadId: ctx.query.uploadId,
      IsTruncated: parts.length > PAGE,
      NextPartNumberMarker: page.length
        ? page[page.length - 1].PartNumber
        : after,
      Part: page,
    },
  };
}

function abort(ctx) {
  fs.rmSync(uploadFolder(ctx), { recursive: true });
  ctx.status = 204;
}

// The request's Authorization as its bearer of the key would have written it.
function checkSignature(ctx) {
  const given = ctx.get('authorization');
  const names = /SignedHeaders=([^,]*)/.exec(given);
  const headers = {};

  if (!names || !/x-amz-content-sha256/.test(names[1]))
    throw new S3Error('AccessDenied', 'The request is not signed');
  for (const name of names[1].split(';')) headers[name] = ctx.get(name);
  const request = { service: 's3', region: 'us-east-1', method: ctx.method };
  aws4.sign(
    Object.assign(request, { path: ctx.req.url, headers }),
    { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
  );
  if (
    request.headers.Authorization.split('Signature=')[1] !==
    given.split('Signature=')[1]
  )
    throw new S3Error('SignatureDoesNotMatch', 'The signature is wrong');
}

function checkPart(ctx) {
  const part = path.join(uploadFolder(ctx), ctx.query.partNumber);
  const digest = crypto.createHash('sha256').update(fs.readFileSync(part));

  if (digest.digest('hex') !== ctx.get('x-amz-content-sha256'))
    throw new S3Error('XAmzContentSHA256Mismatch', 'The body is another');
}

// A completion that lasts is answered 200 before it is known how it ends: here
// it ends with nothing, the first time and for one key.
let unsure = 'unsure';

const plain = process.argv[4] === 'plain';
router.use('/:bucket/:key+', async (ctx, next) => {
  checkSignature(ctx);
  if ('uploadId' in ctx.query && ctx.method === 'GET' && !plain)
    return listParts(ctx);
  if ('uploadId' in ctx.query && ctx.method === 'DELETE' && !plain)
    return abort(ctx);
  if (ctx.method === 'POST' && ctx.query.uploadId && ctx.params.key === unsure) {
    unsure = undefined;
    ctx.body = '\n';
    return;
  }
  await next();
  if ('partNumber' in ctx.query) checkPart(ctx);
});
router.stack.unshift(router.stack.pop());

new S3rver({
  address: '127.0.0.1',
  port: 0,
  silent: true,
  vhostBuckets: false,
  directory: process.argv[2],
  configureBuckets: [{ name: process.argv[3] }],
})
  .run()
  .then(address => console.log(address.port));
