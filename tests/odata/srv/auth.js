// Who may call: anybody, or (for the service Closed) this user and password, or this token.
const cds = require('@sap/cds')

const ALLOWED = new Set([
  'Basic ' + Buffer.from('alice:wonder;land=1').toString('base64'),
  'Bearer a-test-token',
])

module.exports = function authenticate(req, res, next) {
  const given = req.headers.authorization
  if (given && !ALLOWED.has(given)) {
    return res.status(401).set('WWW-Authenticate', 'Basic realm="shop"').json({
      error: { code: '401', message: 'Unauthorized' },
    })
  }
  req.user = cds.context.user = given ? new cds.User({ id: 'alice' }) : new cds.User.Anonymous()
  req._login = () => res.status(401).set('WWW-Authenticate', 'Basic realm="shop"').end()
  next()
}
