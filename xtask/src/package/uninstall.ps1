# Undoes install.ps1: removes the device, the driver package, and the trust in the test certificate.
#Requires -RunAsAdministrator
param(
    # Also turns test signing off, from the next start on.
    [switch] $TestSigningOff
)
$ErrorActionPreference = 'Stop'

& "$PSScriptRoot\qwi-harness.exe" uninstall
if ($LASTEXITCODE -ne 0) {
    Write-Warning "The device was not removed ($LASTEXITCODE)."
}

Get-WindowsDriver -Online |
    Where-Object { $_.OriginalFileName -like '*\queued_work_item_driver.inf' } |
    ForEach-Object { pnputil.exe /delete-driver $_.Driver /uninstall /force }

$file = "$PSScriptRoot\qwi-test-certificate.cer"
$certificate = [Security.Cryptography.X509Certificates.X509Certificate2]::new($file)
foreach ($store in 'Root', 'TrustedPublisher') {
    Remove-Item "Cert:\LocalMachine\$store\$($certificate.Thumbprint)" -ErrorAction SilentlyContinue
}

if ($TestSigningOff) {
    bcdedit.exe /set testsigning off
}
