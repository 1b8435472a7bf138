using System.Globalization;
using Diffusion.Gpu.Benchmarks.Peers;

OldStandardLibrary.Accommodate();
return args switch
{
    ["inception", .. var options] => InceptionComparison.Run(Number(options, "--repeats", 15), Number(options, "--batch", 8)),
    ["batches", .. var options] => InceptionComparison.RunBatches(Number(options, "--repeats", 6)),
    ["unet-convolutions", .. var options] => UnetConvolutionComparison.Run(Number(options, "--repeats", 15)),
    ["convolutions", .. var options] => ConvolutionComparison.Run(Number(options, "--repeats", 9), Number(options, "--batch", 8)),
    _ => Usage(),
};

static int Number(string[] options, string name, int otherwise)
    => Array.IndexOf(options, name) is >= 0 and var i ? int.Parse(options[i + 1], CultureInfo.InvariantCulture) : otherwise;

static int Usage()
{
    Console.Error.WriteLine("inception | convolutions | unet-convolutions | batches [--repeats N] [--batch N]: "
        + "this library and libtorch in one process, in random order");
    return 2;
}
