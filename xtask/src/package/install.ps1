# Trusts the package's test certificate, turns test signing on, and installs the driver.
# For a test machine: whoever holds the certificate's key can then load drivers on it.
#Requires -RunAsAdministrator
$ErrorActionPreference = 'Stop'

foreach ($store in 'Root', 'TrustedPublisher') {
    Import-Certificate -FilePath "$PSScriptRoot\qwi-test-certificate.cer" `
        -CertStoreLocation "Cert:\LocalMachine\$store" | Out-Null
}

# How this Windows was started, in words that do not depend on its language.
$started = (Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control').SystemStartOptions
if ($started -notmatch 'TESTSIGNING') {
    bcdedit.exe /set testsigning on
    if ($LASTEXITCODE -ne 0) {
        throw 'Test signing cannot be turned on. Is Secure Boot on? It has to be off on a test machine.'
    }
    Write-Output 'Test signing is on from the next start: restart this machine and run this script again.'
    exit 3010
}

& "$PSScriptRoot\qwi-harness.exe" install --inf "$PSScriptRoot\queued_work_item_driver.inf"
if ($LASTEXITCODE -ne 0) {
    throw "The driver was not installed ($LASTEXITCODE). See $env:windir\INF\setupapi.dev.log."
}
Write-Output 'Installed. To try it: qwi-harness run'
