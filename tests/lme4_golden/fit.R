# Fits the table with lme4 and prints what the tests compare: form,method,period,quantity,label,value.
#
#   Rscript fit.R table.csv > golden.csv
#   Rscript fit.R table.csv REML      restricted likelihood alone, no intervals (a second instead of a minute)
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
table <- read.csv(arguments[1], colClasses = c(event = "character", site = "character"))
methods <- if (length(arguments) > 1) arguments[2] else c("REML", "ML")
exact <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e5), calc.derivs = FALSE,
                     check.conv.singular = "ignore")
forms <- c(crossed = "~ 1 + (1|event) + (1|site)", event_only = "~ 1 + (1|event)",
           fixed = "~ 1 + x1 + x2 + (1|event) + (1|site)")
say <- function(form, method, period, quantity, label, value)
  cat(sprintf("%s,%s,%s,%s,%s,%.10g\n", form, method, period, quantity, label, value), sep = "")

cat("form,method,period,quantity,label,value\n")
for (form in names(forms)) for (method in methods) for (period in grep("^y", names(table), value = TRUE)) {
  fitted <- lmer(as.formula(paste(period, forms[form])), table, REML = method == "REML", control = exact)
  put <- function(quantity, label, value) say(form, method, period, quantity, label, value)
  deviations <- as.data.frame(VarCorr(fitted))
  names_here <- c(event = "tau", site = "phi_s2s", Residual = "phi_ss")[deviations$grp]
  put("deviation", names_here, deviations$sdcor)
  put("coefficient", names(fixef(fitted)), fixef(fitted))
  put("coefficient_error", names(fixef(fitted)), sqrt(diag(as.matrix(vcov(fitted)))))
  put("log_likelihood", "", as.numeric(logLik(fitted)))
  if (method == "REML" && form == "crossed") for (factor in c("event", "site")) {
    terms <- ranef(fitted)[[factor]]
    put(paste0(factor, "_term"), rownames(terms), terms[["(Intercept)"]])
  }
  if (method == "ML" && form == "crossed") {
    ends <- suppressWarnings(confint(fitted, parm = "theta_", method = "profile", quiet = TRUE, oldNames = FALSE,
                                     devtol = 1e-7))
    shown <- sub("\\(Intercept\\)\\|", "", sub("^sd_", "", rownames(ends)))
    shown <- c(event = "tau", site = "phi_s2s", sigma = "phi_ss")[shown]
    put("interval_low", shown, ends[, 1])
    put("interval_high", shown, ends[, 2])
  }
}
