"""The textbook's mixed model with N x N matrices: slow, short, and written without looking at ours."""

import numpy as np

LOW, HIGH = 4.5, 6.5


class Dense:
    """``y = X b + u[event] + v[site] + e``; variances (tau², phi_s2s² if there is a site, phi_ss²).

    With ``mag`` (N,): ln variances of tau and of phi_ss at both corners in place of one variance each.
    """

    def __init__(self, y, x, event, site=None, mag=None, restricted=True):
        self.y, self.x, self.restricted = y, x, restricted
        self.same_event = (event[:, None] == event).astype(float)
        self.same_site = None if site is None else (site[:, None] == site).astype(float)
        self.share = None if mag is None else np.clip((mag - LOW) / (HIGH - LOW), 0.0, 1.0)

    def parts(self, theta):
        """Covariance of the event terms, of the site terms and of the rest, (N, N) each."""
        theta = list(theta)

        def spread():
            if self.share is None:
                return np.full(len(self.y), theta.pop(0))
            return np.exp(theta.pop(0) * (1 - self.share) + theta.pop(0) * self.share)

        of_event = spread()[:, None] * self.same_event
        of_site = np.zeros_like(of_event) if self.same_site is None else theta.pop(0) * self.same_site
        return of_event, of_site, np.diag(spread())

    def deviance(self, theta):
        """-2 ln L; where restricted, of Patterson and Thompson (1971) as Harville (1974) writes it, less ln |XᵀX|."""
        v = sum(self.parts(theta))
        information = self.x.T @ np.linalg.solve(v, self.x)
        r = self.y - self.x @ self.fixed(theta)[0]
        total = np.linalg.slogdet(v)[1] + r @ np.linalg.solve(v, r) + len(r) * np.log(2 * np.pi)
        if self.restricted:
            total += np.linalg.slogdet(information)[1] - self.x.shape[1] * np.log(2 * np.pi)
        return total

    def gradient(self, theta, step=1e-5):
        """By central differences."""
        ends = [[self.deviance(theta + sign * step * unit) for sign in (1, -1)] for unit in np.eye(len(theta))]
        return np.array([(up - down) / (2 * step) for up, down in ends])

    def fixed(self, theta):
        """Generalised least squares: coefficients and their standard errors."""
        v = sum(self.parts(theta))
        covariance = np.linalg.inv(self.x.T @ np.linalg.solve(v, self.x))
        return covariance @ (self.x.T @ np.linalg.solve(v, self.y)), np.sqrt(np.diag(covariance))

    def terms(self, theta, which):
        """Term of each record's event (0), site (1) or of itself (2), and the standard error of its prediction."""
        parts = self.parts(theta)
        inverse = np.linalg.inv(sum(parts))
        p = inverse - inverse @ self.x @ np.linalg.inv(self.x.T @ inverse @ self.x) @ self.x.T @ inverse
        c = parts[which]
        return c @ p @ self.y, np.sqrt(np.maximum(np.diag(c - c @ p @ c), 0.0))
